//! The compiler's errors for mistakes in the description of a row or in an operation.

/// `TRYBUILD=overwrite` replaces the expected texts.
#[test]
#[ignore = "the expected texts are those of the compiler in CI; it takes two minutes"]
fn each_mistake_has_a_clear_compiler_error() {
    trybuild::TestCases::new().compile_fail("compile_errors/*.rs");
}
