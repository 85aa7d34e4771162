//! Each group of doors with each kind of fault.

use anyhow::{Result, ensure};

use super::{ADMIN, CALLERS, CONSENT, Door, FIRST, Fault, SIGN_IN, TOKENS};

async fn hold(doors: &[Door], fault: Fault) -> Result<()> {
    let mut broken = Vec::new();
    for door in doors {
        if let Err(error) = door.holds(fault).await {
            broken.push(format!("{} ({}): {error:#}", door.route, door.name));
        }
    }
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failed_statement_makes_a_caller() -> Result<()> {
    hold(CALLERS, Fault::Statement).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lost_database_makes_a_caller() -> Result<()> {
    hold(CALLERS, Fault::FromStatement).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failed_seal_makes_a_caller() -> Result<()> {
    hold(CALLERS, Fault::Seal).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failed_statement_signs_anybody_in() -> Result<()> {
    hold(SIGN_IN, Fault::Statement).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lost_database_signs_anybody_in() -> Result<()> {
    hold(SIGN_IN, Fault::FromStatement).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failed_seal_signs_anybody_in() -> Result<()> {
    hold(SIGN_IN, Fault::Seal).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failed_statement_makes_a_first_owner() -> Result<()> {
    hold(FIRST, Fault::Statement).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lost_database_makes_a_first_owner() -> Result<()> {
    hold(FIRST, Fault::FromStatement).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failed_seal_makes_a_first_owner() -> Result<()> {
    hold(FIRST, Fault::Seal).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failed_statement_consents() -> Result<()> {
    hold(CONSENT, Fault::Statement).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lost_database_consents() -> Result<()> {
    hold(CONSENT, Fault::FromStatement).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failed_seal_consents() -> Result<()> {
    hold(CONSENT, Fault::Seal).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failed_statement_gives_a_token() -> Result<()> {
    hold(TOKENS, Fault::Statement).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lost_database_gives_a_token() -> Result<()> {
    hold(TOKENS, Fault::FromStatement).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failed_seal_gives_a_token() -> Result<()> {
    hold(TOKENS, Fault::Seal).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failed_statement_makes_a_credential_for_an_operator() -> Result<()> {
    hold(ADMIN, Fault::Statement).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lost_database_makes_a_credential_for_an_operator() -> Result<()> {
    hold(ADMIN, Fault::FromStatement).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failed_seal_makes_a_credential_for_an_operator() -> Result<()> {
    hold(ADMIN, Fault::Seal).await
}
