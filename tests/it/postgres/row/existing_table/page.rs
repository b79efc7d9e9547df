//! The migration files of the page, as sqlx's migrator reads them from a folder.

use std::path::PathBuf;

use optilock::sqlx::migrate::Migrator;

/// A folder of migrations. Dropping it removes it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let name = format!("optilock-migrations-{:016x}", rand::random::<u64>());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub fn write(&self, name: &str, sql: &str) {
        std::fs::write(self.0.join(format!("{name}.sql")), sql).unwrap();
    }

    pub async fn migrator(&self) -> Migrator {
        Migrator::new(&*self.0).await.unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Returns the name and the SQL of each file on the page, in order.
pub fn files() -> [(&'static str, &'static str); 7] {
    let page = include_str!("../../../../../src/guide/existing_tables.md");
    let files = page
        .split("```")
        .filter_map(|part| part.strip_prefix("sql\n"));
    let names = page
        .lines()
        .filter_map(|line| line.strip_prefix('`')?.strip_suffix(".sql`"));
    let files: Vec<_> = names.zip(files).collect();
    files.try_into().expect("the page has this number of files")
}
