//! The table of surroundings, by groups: each group is a test.

mod calm;

use super::{Bench, Cell, Subject, Surrounding, run};

macro_rules! surroundings {
    ($($group:ident { $($name:literal: $attack:expr,)* })*) => {
        pub const ALL: &[&[Surrounding]] = &[$($group::GROUP),*];
        $(mod $group {
            #[allow(clippy::wildcard_imports, reason = "one group's part of the table")]
            use super::*;
            pub const GROUP: &[Surrounding] = &[$(Surrounding {
                name: $name,
                attack: |bench, subject, cell| Box::pin($attack(bench, subject, cell)),
            },)*];

            #[tokio::test(flavor = "multi_thread")]
            async fn every_operation() {
                run(GROUP).await;
            }
        })*
    };
}

surroundings! {
    group_0 { "0 calm": calm::calm, }
}
