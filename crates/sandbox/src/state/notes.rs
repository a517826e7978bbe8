//! Notes: the data of the demo users.

use super::data::{Note, State};
use crate::users::User;

/// Maximum number of notes per user.
pub(crate) const MAX_NOTES_PER_USER: usize = 1000;

/// The user already has [`MAX_NOTES_PER_USER`] notes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyNotes;

impl State {
    /// The user's notes, oldest first.
    pub(crate) fn notes_of(&self, owner: User) -> Vec<Note> {
        self.notes.values().filter(|note| note.owner == owner).cloned().collect()
    }

    pub(crate) fn add_note(&mut self, owner: User, text: String, now_ms: i64) -> Result<Note, TooManyNotes> {
        let kept = self.notes.values().filter(|note| note.owner == owner);
        if kept.count() >= MAX_NOTES_PER_USER {
            return Err(TooManyNotes);
        }
        self.last_note += 1;
        let note = Note { number: self.last_note, owner, text, created_at_ms: now_ms };
        self.notes.insert(note.number, note.clone());
        Ok(note)
    }

    /// Deletes a note; false if this user has no such note.
    pub(crate) fn delete_note(&mut self, owner: User, number: u64) -> bool {
        let is_own = self.notes.get(&number).is_some_and(|note| note.owner == owner);
        if is_own {
            self.notes.remove(&number);
        }
        is_own
    }
}
