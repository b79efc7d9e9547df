use super::*;

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
