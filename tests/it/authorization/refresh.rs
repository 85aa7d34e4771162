//! Refresh tokens: each once, and no harm by an answer that is lost.

use anyhow::Result;

use super::stage::{Stage, error, tokens_in};

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_replaced_and_a_lost_answer_is_given_once_more() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let first = stage.tokens(&client).await?;
    let lost = tokens_in(&stage.refresh(&client, &first.refresh).await?.expect_status(200)?)?;
    let again = tokens_in(&stage.refresh(&client, &first.refresh).await?.expect_status(200)?)?;
    assert_ne!(lost.refresh, again.refresh);
    let next = tokens_in(&stage.refresh(&client, &again.refresh).await?.expect_status(200)?)?;
    assert_eq!(stage.call("team", &next.access).await?, 200);

    // Its successor has been used: this is no lost answer.
    let reused = stage.refresh(&client, &first.refresh).await?.expect_status(400)?;
    assert_eq!(error(&reused)?, "invalid_grant");
    stage.until_refused(&next.access).await?;
    assert_eq!(error(&stage.refresh(&client, &next.refresh).await?.expect_status(400)?)?, "invalid_grant");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_its_clients_alone_and_gets_no_more_than_was_granted() -> Result<()> {
    let mut stage = Stage::start().await?;
    let (client, other) = (stage.public_client().await?, stage.public_client().await?);
    let tokens = stage.tokens(&client).await?;
    assert_eq!(error(&stage.refresh(&other, &tokens.refresh).await?.expect_status(400)?)?, "invalid_grant");
    let resource = stage.resource("other");
    for (name, value, expected) in
        [("scope", "mcp offline_access", "invalid_scope"), ("resource", resource.as_str(), "invalid_target")]
    {
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", &client),
            ("refresh_token", &tokens.refresh),
            (name, value),
        ];
        assert_eq!(error(&stage.form("/oauth/token", &fields).await?.expect_status(400)?)?, expected);
    }
    stage.refresh(&client, &tokens.refresh).await?.expect_status(200)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_of_one_client_refresh_at_the_same_time() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let tokens = stage.tokens(&client).await?;
    let (left, right) =
        tokio::join!(stage.refresh(&client, &tokens.refresh), stage.refresh(&client, &tokens.refresh));
    let (left, right) = (tokens_in(&left?.expect_status(200)?)?, tokens_in(&right?.expect_status(200)?)?);
    assert_eq!(stage.call("team", &left.access).await?, 200);
    assert_eq!(stage.call("team", &right.access).await?, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gives_its_tokens_back() -> Result<()> {
    let mut stage = Stage::start().await?;
    let (client, other) = (stage.public_client().await?, stage.public_client().await?);
    let tokens = stage.tokens(&client).await?;
    stage
        .form("/oauth/revoke", &[("client_id", &other), ("token", &tokens.refresh)])
        .await?
        .expect_status(200)?;
    assert_eq!(
        stage.call("team", &tokens.access).await?,
        200,
        "another client's token is not its own to end"
    );
    stage.form("/oauth/revoke", &[("client_id", &client), ("token", "junk")]).await?.expect_status(200)?;
    stage
        .form("/oauth/revoke", &[("client_id", &client), ("token", &tokens.refresh)])
        .await?
        .expect_status(200)?;
    stage.until_refused(&tokens.access).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_person_leaves_no_token_and_no_grant() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let tokens = stage.tokens(&client).await?;
    stage.hub.cli(&["user", "create", "zoe", "--role", "owner"]).await?;
    stage.hub.cli(&["user", "delete", "ann"]).await?;
    stage.until_refused(&tokens.access).await?;
    let refused = stage.refresh(&client, &tokens.refresh).await?.expect_status(400)?;
    assert_eq!(error(&refused)?, "invalid_grant");
    assert_eq!(stage.live_grants().await?, Vec::<String>::new());
    Ok(())
}
