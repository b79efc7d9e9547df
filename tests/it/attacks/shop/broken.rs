//! One operation broken on purpose for each rule: the loop notices.
