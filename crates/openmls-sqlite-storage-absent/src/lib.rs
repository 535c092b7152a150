//! Nothing. OpenMLS names its SQLite storage as an optional dependency, and Cargo writes even an
//! unused one into Cargo.lock, where only one version of SQLite's library may be. The device's
//! database needs a newer one than that storage does, so this empty crate takes its place
//! (docs/decisions/0002-one-connection.md). It can go when OpenMLS moves to a newer rusqlite.
