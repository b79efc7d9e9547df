use super::{sent::Sent, *};

/// Every code of the table, in both phases, with the severity the server sends it with.
#[test]
fn codes_by_phase() {
    let before = |code, fatal| of_code(code, fatal, BUSY);
    let commit = |code, fatal| of_code(code, fatal, Class::Unknown);
    for code in ["40001", "40P01"] {
        assert_eq!(
            (before(code, false), commit(code, false)),
            (Class::Conflict, Class::Conflict),
            "{code}"
        );
    }
    for (code, fatal) in [
        ("55P03", false),
        ("53300", true),
        ("53200", false),
        ("57P03", true),
        ("25006", false),
    ] {
        assert_eq!(
            (before(code, fatal), commit(code, fatal)),
            (BUSY, BUSY),
            "{code}"
        );
    }
    for (code, fatal) in [
        ("08006", true),
        ("08P01", false),
        ("57P01", true),
        ("57P02", true),
        ("25P03", true),
        ("XX000", true),
    ] {
        assert_eq!(
            (before(code, fatal), commit(code, fatal)),
            (BUSY, Class::Unknown),
            "{code}"
        );
    }
    for code in ["08007", "40003"] {
        assert_eq!(
            (before(code, false), commit(code, false)),
            (Class::Unknown, Class::Unknown),
            "{code}"
        );
    }
    for code in [
        "25P02", "26000", "42P05", "23505", "23514", "22003", "42P01", "XX000", "57014", "0A000",
    ] {
        assert_eq!(
            (before(code, false), commit(code, false)),
            (Class::Permanent, Class::Permanent),
            "{code}"
        );
    }
}

/// A login that is refused says so with FATAL, and is refused the next time too.
#[test]
fn a_refused_login_is_permanent() {
    for code in ["28000", "28P01", "3D000", "42501", "42704", "22023"] {
        assert_eq!(of_code(code, true, BUSY), Class::Permanent, "{code}");
        assert_eq!(
            of_code(code, true, Class::Unknown),
            Class::Permanent,
            "{code}"
        );
    }
}

/// A disk that is full while the log of a commit is written: the outcome is unknown.
#[test]
fn a_fatal_end_is_a_lost_connection_whatever_its_code() {
    for code in ["53100", "53200", "40001", "55P03", "25006", "XX000"] {
        assert_eq!(
            of_code(code, true, Class::Unknown),
            Class::Unknown,
            "{code}"
        );
        assert_eq!(of_code(code, true, BUSY), BUSY, "{code}");
    }
}

#[test]
fn a_situation_is_for_one_question() {
    struct Wrapped(sqlx::Error);
    impl Classify for Wrapped {
        fn class(&self) -> Class {
            self.0.class()
        }
    }
    struct Charged;
    impl Classify for Charged {
        fn class(&self) -> Class {
            Class::Unknown
        }
    }
    let lost = Wrapped(sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into()));
    let before = Situation::of(Phase::Before);
    assert_eq!(before.judge(&lost).class, BUSY);
    assert_eq!(lost.class(), Class::Unknown);
    assert_eq!(before.judge(&Charged).class, Class::Unknown);
}

#[test]
fn errors_of_the_client_by_phase() {
    let io = || sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into());
    assert_eq!(class_in(&io(), Phase::Before), BUSY);
    assert_eq!(class_in(&io(), Phase::Commit), Class::Unknown);
    assert_eq!(io().class(), Class::Unknown);
    let protocol = sqlx::Error::Protocol("eof".into());
    assert_eq!(class_in(&protocol, Phase::Before), BUSY);
    assert_eq!(class_in(&protocol, Phase::Commit), Class::Unknown);
    for phase in [Phase::Before, Phase::Commit] {
        assert_eq!(class_in(&sqlx::Error::PoolTimedOut, phase), BUSY);
        assert_eq!(class_in(&sqlx::Error::PoolClosed, phase), Class::Permanent);
        assert_eq!(class_in(&sqlx::Error::RowNotFound, phase), Class::Permanent);
    }
}

const PERMANENT: Class = Class::Permanent;

/// The class depends on the code, the severity, and what the crate had told the server.
#[tokio::test]
async fn errors_of_the_server_by_situation() {
    let before = Situation::of(Phase::Before);
    let commit = Situation::of(Phase::Commit);
    let timed_out = Situation {
        timed_out: true,
        ..before
    };
    let read_only = Situation {
        read_only: true,
        ..before
    };
    let stale = Sent {
        routine: "RevalidateCachedQuery",
        ..Sent::error("0A000")
    };
    let pooler = Sent {
        message: "unsupported startup parameter: extra_float_digits",
        ..Sent::fatal("08P01")
    };
    let panic = Sent {
        severity: "PANIC",
        ..Sent::error("53100")
    };
    for (sent, expected) in [
        (Sent::error("40001"), [Class::Conflict; 4]),
        (Sent::error("23505"), [PERMANENT; 4]),
        (
            Sent::error("57014"),
            [PERMANENT, PERMANENT, BUSY, PERMANENT],
        ),
        (Sent::error("25006"), [BUSY, BUSY, BUSY, PERMANENT]),
        (Sent::error("53100"), [BUSY; 4]),
        (panic, [BUSY, Class::Unknown, BUSY, BUSY]),
        (Sent::fatal("57P01"), [BUSY, Class::Unknown, BUSY, BUSY]),
        // A middlebox may send it without FATAL.
        (Sent::error("57P01"), [BUSY, Class::Unknown, BUSY, BUSY]),
        (Sent::fatal("28P01"), [PERMANENT; 4]),
        (Sent::fatal("08P01"), [BUSY, Class::Unknown, BUSY, BUSY]),
        (pooler, [PERMANENT; 4]),
        (stale, [BUSY; 4]),
        (Sent::error("0A000"), [PERMANENT; 4]),
    ] {
        let error = sent.received().await;
        let classes = [before, commit, timed_out, read_only].map(|it| it.class(&error));
        assert_eq!(classes, expected, "{} {}", sent.severity, sent.code);
        let is_stale = sent.routine == stale.routine;
        assert_eq!(before.judge(&error).stale_plan, is_stale, "{}", sent.code);
    }
}

/// What was unknown stays unknown, unless the connection was lost where nothing can have happened.
#[tokio::test]
async fn an_unknown_outcome_by_its_cause() {
    struct Outcome(sqlx::Error);
    impl Classify for Outcome {
        fn class(&self) -> Class {
            class_of_unknown(&self.0)
        }
    }
    let lost = Outcome(sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into()));
    let refused = Outcome(Sent::error("40001").received().await);
    let before = Situation::of(Phase::Before);
    assert_eq!(before.judge(&lost).class, BUSY);
    assert_eq!(before.judge(&refused).class, Class::Unknown);
    assert_eq!(lost.class(), Class::Unknown);
    assert_eq!(refused.class(), Class::Unknown);
}
