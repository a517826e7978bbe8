//! The body of a response, chunk by chunk as it arrives, within the limits of its call.

use std::fmt;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::budget::{BudgetExhausted, Reservation};
use crate::error::EgressError;
use crate::observer::Recording;

/// A body that is read as it arrives. The limits of the call hold for each chunk: after an error there are no
/// more. Dropping it closes the connection unless it was read to its end.
pub struct Body {
    incoming: Incoming,
    /// Maximum size in bytes.
    limit: usize,
    /// Minimum size in bytes by the headers.
    announced: usize,
    received: usize,
    deadline: Instant,
    reservation: Option<Reservation>,
    recording: Option<Box<Recording>>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("received", &self.received).finish_non_exhaustive()
    }
}

impl Body {
    /// # Errors
    ///
    /// [`EgressError::TooLarge`], if the announced size exceeds the limit.
    pub(crate) fn new(
        incoming: Incoming,
        limit: usize,
        deadline: Instant,
        reservation: Option<Reservation>,
    ) -> Result<Self, EgressError> {
        let announced = usize::try_from(incoming.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(EgressError::TooLarge { limit });
        }
        Ok(Self { incoming, limit, announced, received: 0, deadline, reservation, recording: None })
    }

    /// Shows the exchange to an observer when the body has ended or failed.
    pub(crate) fn record(&mut self, recording: Recording) {
        self.recording = Some(Box::new(recording));
    }

    /// Size in bytes, if the headers say it.
    pub fn length(&self) -> Option<u64> {
        self.incoming.size_hint().exact().filter(|_| self.received == 0)
    }

    /// The next chunk; `None` at the end. It is in the reservation of the call, which grows before it is
    /// returned: while no memory is free, nothing more is read. A call that is dropped loses its chunk.
    ///
    /// # Errors
    ///
    /// [`EgressError`]: the body broke off, exceeds the limit, or took too long, or no memory was free in time.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        // A chunk that is there already needs no timer.
        let outcome = match timeout_at(self.deadline, self.next()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(EgressError::Timeout { sent: true }),
        };
        if let Some(recording) = &mut self.recording {
            recording.on_chunk(&outcome, self.incoming.is_end_stream());
        }
        outcome
    }

    async fn next(&mut self) -> Result<Option<Bytes>, EgressError> {
        let data = loop {
            let Some(frame) = self.incoming.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| failure(&error))?;
            // Trailers are skipped.
            if let Ok(data) = frame.into_data() {
                break data;
            }
        };
        if data.len() > self.limit - self.received {
            return Err(EgressError::TooLarge { limit: self.limit });
        }
        self.received += data.len();
        if let Some(reservation) = &mut self.reservation {
            // Grows with the received bytes if the length is not known.
            let is_known = self.incoming.size_hint().exact().is_some();
            let (needed, max) = if is_known { (self.announced, self.announced) } else { (self.received, self.limit) };
            let grown = reservation.grow(needed.max(self.received), max).await;
            grown.map_err(|BudgetExhausted| EgressError::BudgetExhausted)?;
        }
        Ok(Some(data))
    }

    /// Reads the rest. The reservation is then as large as what was read; keep it as long as that.
    ///
    /// # Errors
    ///
    /// As for [`Self::chunk`].
    pub async fn collect(mut self) -> Result<(Bytes, Option<Reservation>), EgressError> {
        // Grows with the received bytes, not with the announced length.
        let mut collected = BytesMut::new();
        while let Some(data) = self.chunk().await? {
            if collected.is_empty() && data.len() == self.announced {
                return Ok((data, self.reservation)); // the whole body in one piece: nothing to copy
            }
            collected.extend_from_slice(&data);
        }
        if let Some(reservation) = &mut self.reservation {
            reservation.shrink(collected.len());
        }
        Ok((collected.freeze(), self.reservation))
    }

    /// The reservation for what was read, which is to be kept as long as that.
    pub fn into_reservation(self) -> Option<Reservation> {
        self.reservation
    }
}

/// A truncated body was interrupted; malformed chunks are invalid HTTP.
fn failure(error: &hyper::Error) -> EgressError {
    let malformed = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|io| matches!(io.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData));
    if malformed || error.is_parse() { EgressError::InvalidResponse } else { EgressError::Interrupted }
}
