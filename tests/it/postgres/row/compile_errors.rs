//! What the compiler says to somebody who describes a row wrongly.

/// `TRYBUILD=overwrite` writes the texts anew.
#[test]
#[ignore = "the texts are those of one version of the compiler, the one in CI; it takes two minutes"]
fn each_mistake_has_a_clear_compiler_error() {
    trybuild::TestCases::new().compile_fail("compile_errors/*.rs");
}
