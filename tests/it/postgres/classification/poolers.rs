//! Errors that come from a pooler between the program and the server.

use optilock::{
    Class, Classify,
    postgres::{Error, ErrorKind},
    sqlx::{self, Connection, PgConnection, postgres::PgConnectOptions, postgres::PgSslMode},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::db::Db;

fn assert_names(error: sqlx::Error, code: &str, setting: &str) {
    let found = error.as_database_error().unwrap().code();
    assert_eq!(found.as_deref(), Some(code), "{error:?}");
    let error = Error::from(error);
    assert_eq!(
        (error.kind(), error.class()),
        (ErrorKind::Database, Class::Permanent)
    );
    let text = error.to_string();
    assert!(text.contains("pooler") && text.contains(setting), "{text}");
}

/// What a client meets whose connection a pooler gives to others between two transactions: a statement that
/// another client has prepared under the same name, and one that this client has prepared elsewhere.
#[tokio::test]
async fn mixed_prepared_statements_name_the_pooler() {
    let db = Db::new().await;
    let options = db.database.options();
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    let mut other = PgConnection::connect_with(&options).await.unwrap();
    let names = "SELECT name FROM pg_prepared_statements WHERE statement LIKE 'SELECT 1 + %'";
    let sum = |number: i32| sqlx::query_scalar::<_, i32>("SELECT 1 + $1").bind(number);
    assert_eq!(sum(1).fetch_one(&mut other).await.unwrap(), 2);
    let name: String = sqlx::query_scalar(names)
        .fetch_one(&mut other)
        .await
        .unwrap();
    let prepare = format!("PREPARE {name} AS SELECT 7");
    let prepare = sqlx::raw_sql(sqlx::AssertSqlSafe(prepare));
    prepare.execute(&mut conn).await.unwrap();
    let taken = sum(1).fetch_one(&mut conn).await.unwrap_err();
    assert_names(taken, "42P05", "max_prepared_statements");

    let forget = sqlx::raw_sql("DEALLOCATE ALL");
    forget.execute(&mut other).await.unwrap();
    let missing = sum(2).fetch_one(&mut other).await.unwrap_err();
    assert_names(missing, "26000", "max_prepared_statements");
}

/// pgbouncer answers the first message of a connection so. It would answer the next one the same.
#[tokio::test]
async fn a_refused_parameter_names_the_poolers_setting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let pooler = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut startup = [0; 512];
        assert!(client.read(&mut startup).await.unwrap() > 0);
        let fields = b"SFATAL\0C08P01\0Munsupported startup parameter: extra_float_digits\0\0";
        let mut answer = vec![b'E'];
        answer.extend((fields.len() as u32 + 4).to_be_bytes());
        answer.extend(fields);
        client.write_all(&answer).await.unwrap();
    });
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username("ana")
        .ssl_mode(PgSslMode::Disable);
    let refused = PgConnection::connect_with(&options).await.unwrap_err();
    assert_names(refused, "08P01", "ignore_startup_parameters");
    pooler.await.unwrap();
}
