//! Where images come from: files, folders, patterns, lists and tar archives.
