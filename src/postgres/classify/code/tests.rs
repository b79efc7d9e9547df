use super::*;
use crate::postgres::classify::sent::Sent;

/// Codes, each of which has one question that is answered with yes.
const CODES: [&str; 8] = [
    "23505", "22003", "25P02", "55P03", "57014", "42501", "25006", "XX000",
];

#[tokio::test]
async fn each_question_is_about_one_code() {
    type Question = fn(&sqlx::Error) -> bool;
    let questions: &[(&str, Question)] = &[
        ("23505", is_unique_violation),
        ("22003", is_out_of_range),
        ("42501", is_forbidden),
        ("25006", is_read_only),
        #[cfg(feature = "inventory")]
        ("25P02", is_aborted),
        #[cfg(feature = "inventory")]
        ("55P03", is_lock_timeout),
        #[cfg(feature = "inventory")]
        ("57014", is_cancelled),
    ];
    for code in CODES {
        let error = Sent::error(code).received().await;
        for (asked, question) in questions {
            assert_eq!(question(&error), *asked == code, "{asked} of {code}");
        }
    }
    for (asked, question) in questions {
        assert!(!question(&sqlx::Error::RowNotFound), "{asked}");
    }
}

#[tokio::test]
async fn a_stale_plan_has_its_code_and_its_routine() {
    let stale = Sent {
        routine: "RevalidateCachedQuery",
        ..Sent::error("0A000")
    };
    assert!(is_stale_plan(&stale.received().await));
    let unsupported = Sent {
        routine: "transformStmt",
        ..stale
    };
    assert!(!is_stale_plan(&unsupported.received().await));
    let another = Sent {
        code: "XX000",
        ..stale
    };
    assert!(!is_stale_plan(&another.received().await));
}

#[tokio::test]
async fn a_refused_parameter_has_its_code_and_its_message() {
    let is_refused = async |sent: Sent| {
        let error = sent.received().await;
        is_refused_parameter(error.as_database_error().expect("an error of the server"))
    };
    let refused = Sent {
        message: "unsupported startup parameter: extra_float_digits",
        ..Sent::fatal("08P01")
    };
    assert!(is_refused(refused).await);
    let code = "57P03";
    assert!(!is_refused(Sent { code, ..refused }).await);
    let message = "invalid message";
    assert!(!is_refused(Sent { message, ..refused }).await);
}

#[tokio::test]
async fn an_error_that_is_not_retried_has_advice() {
    let advice_of = async |sent: Sent| advice(&sent.received().await);
    let pooler = Sent {
        message: "unsupported startup parameter: extra_float_digits",
        ..Sent::fatal("08P01")
    };
    for (sent, part) in [
        (Sent::fatal("28P01"), "refuses this user's password"),
        (Sent::fatal("28000"), "check that the role exists"),
        (Sent::fatal("3D000"), "there is no such database"),
        (Sent::error("57014"), "the statement was cancelled"),
        (Sent::error("42501"), "this role lacks a privilege"),
        (Sent::error("42P05"), "mixes the prepared statements"),
        (Sent::error("26000"), "mixes the prepared statements"),
        (pooler, "name it in ignore_startup_parameters"),
        (Sent::fatal("08P01"), "the database failed"),
        (Sent::error("XX000"), "the database failed"),
    ] {
        let advice = advice_of(sent).await;
        assert!(advice.contains(part), "{}: {advice}", sent.code);
    }
    assert_eq!(advice(&sqlx::Error::PoolClosed), "the pool is closed");
    assert_eq!(advice(&sqlx::Error::RowNotFound), "the database failed");
}

#[cfg(feature = "inventory")]
#[tokio::test]
async fn what_another_session_creates_meanwhile_is_a_name_that_is_taken() {
    for code in ["42P06", "42P07", "42710"] {
        let taken = Sent::error(code).received().await;
        assert!(is_created_elsewhere(&taken), "{code}");
    }
    let of_catalog = Sent {
        schema: "pg_catalog",
        ..Sent::error("23505")
    };
    assert!(is_created_elsewhere(&of_catalog.received().await));
    let schema = "optilock";
    assert!(!is_created_elsewhere(
        &Sent {
            schema,
            ..of_catalog
        }
        .received()
        .await
    ));
    let code = "23514";
    assert!(!is_created_elsewhere(
        &Sent { code, ..of_catalog }.received().await
    ));
}

#[cfg(feature = "inventory")]
#[tokio::test]
async fn the_key_of_the_ledger_is_that_of_its_table() {
    let taken = Sent {
        table: "movements",
        schema: "shop_042",
        constraint: "movements_pkey",
        ..Sent::error("23505")
    };
    assert!(is_ledger_key(&taken.received().await));
    let constraint = "orders_pkey";
    assert!(!is_ledger_key(
        &Sent {
            constraint,
            ..taken
        }
        .received()
        .await
    ));
    let table = "journeys";
    assert!(!is_ledger_key(&Sent { table, ..taken }.received().await));
    let code = "23514";
    assert!(!is_ledger_key(&Sent { code, ..taken }.received().await));
}

#[cfg(feature = "inventory")]
#[tokio::test]
async fn a_row_is_refused_for_its_data_a_constraint_a_policy_or_by_a_trigger() {
    for code in [
        "22003", "23514", "44000", "P0001", "I0001", "Z1234", "60000", "99999",
    ] {
        assert!(
            is_refused_row(&Sent::error(code).received().await),
            "{code}"
        );
    }
    for code in ["XX001", "25P02", "40001", "57014", "H0001", "58000", "2"] {
        assert!(
            !is_refused_row(&Sent::error(code).received().await),
            "{code}"
        );
    }
    let by_policy = Sent {
        routine: "ExecWithCheckOptions",
        ..Sent::error("42501")
    };
    assert!(is_refused_row(&by_policy.received().await));
    let routine = "aclcheck_error";
    assert!(!is_refused_row(
        &Sent {
            routine,
            ..by_policy
        }
        .received()
        .await
    ));
    let code = "XX000";
    assert!(!is_refused_row(
        &Sent { code, ..by_policy }.received().await
    ));
    assert!(!is_refused_row(&sqlx::Error::RowNotFound));
}

#[cfg(feature = "inventory")]
#[tokio::test]
async fn an_error_of_a_statement_keeps_the_connection() {
    assert!(is_of_statement(&Sent::error("23505").received().await));
    assert!(!is_of_statement(&Sent::fatal("57P01").received().await));
    assert!(!is_of_statement(&sqlx::Error::RowNotFound));
}
