//! Databases opened by many threads at once, as the first thing that a process does.
//!
//! One test, in a program of its own: the first opening happens once a process.

#[path = "common/folder.rs"]
mod folder;

use counterseal_core::device::Device;
use folder::Folder;
use std::sync::Barrier;

#[test]
fn many_threads_may_open_their_first_database_at_once() {
    let folder = Folder::new();
    let start = Barrier::new(16);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16u8)
            .map(|i| {
                let (folder, start) = (&folder, &start);
                scope.spawn(move || {
                    start.wait();
                    Device::create(&folder.path().join(i.to_string()), &[i + 1; 32]).map(drop)
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
}
