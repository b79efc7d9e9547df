//! The pages that describe the codes of problems, at the address that a problem has as its `type`.

use axum::response::Html;

use crate::{body::Path, language::Language, problem::Problem, problem_codes};

/// Returns the page of a code.
pub(crate) async fn page(Path(code): Path<String>) -> Result<Html<String>, Problem> {
    let code = problem_codes::find(&code);
    let code = code.ok_or_else(|| Problem::not_found("No problem has this code."))?;
    let language = Language::current();
    let (name, tag, meaning) = (code.name, language.tag(), code.meaning(language));
    Ok(Html(format!(
        "<!doctype html><html lang=\"{tag}\"><meta charset=\"utf-8\"><title>{name}</title>\
         <h1>{name}</h1><p>{meaning}</p></html>"
    )))
}
