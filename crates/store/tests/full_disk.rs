//! A full disk: writes are refused as such, acknowledged writes survive, reads still work, and writes succeed
//! again without a restart once there is space.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::path::Path;
use std::process::Command;

use switchboard_store::{Store, Unit, WriteError, meta};

/// A file system of one mebibyte, unmounted on drop. `None` if mounting is not permitted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], folder.path());
        mounted.then_some(Self(folder))
    }

    fn grow(&self) {
        assert!(mount(&["-o", "remount,size=32m"], self.0.path()));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    Command::new("mount").args(arguments).arg(at).output().is_ok_and(|output| output.status.success())
}

fn write(name: &str) -> Unit {
    Unit::new().with(meta::put(name, vec![7; 4_000]))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: mounting a tmpfs is not permitted here");
        return;
    };
    let store = Store::open(&disk.0.path().join("test.db")).unwrap();
    let mut acknowledged = Vec::new();
    let mut full = 0;
    for round in 0..20 {
        let writes: Vec<_> = (0..40)
            .map(|number| {
                let store = store.clone();
                let name = format!("{round}-{number}");
                tokio::spawn(async move { (store.apply(write(&name)).await, name) })
            })
            .collect();
        for one in writes {
            match one.await.unwrap() {
                (Ok(_), name) => acknowledged.push(name),
                (Err(WriteError::Full), _) => full += 1,
                (Err(other), name) => panic!("{name}: {other}"),
            }
        }
    }
    assert!(full > 0, "the disk never filled");
    assert!(!acknowledged.is_empty());
    for name in &acknowledged {
        assert!(store.meta(name).await.unwrap().is_some(), "{name} was acknowledged and is gone");
    }
    disk.grow();
    store.apply(write("after")).await.unwrap();
    assert!(store.meta("after").await.unwrap().is_some());
}
