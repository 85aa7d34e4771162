//! `mcp-remote`, which brings endpoints to clients that only speak stdio.

use anyhow::Result;
use trunkline_tests::client_program::Client;
use trunkline_tests::process::Finished;

use crate::target::Target;

/// Connects and lists tools and resources.
pub(crate) async fn list(client: &Client, target: &Target) -> Result<Finished> {
    let mut command = client.command(&client.packages.npm_bin("mcp-remote-client"));
    command.env("MCP_REMOTE_CONFIG_DIR", client.home().join("mcp-remote"));
    command.args([&target.url, "--allow-http", "--header"]);
    command.arg(format!("Authorization:Bearer {}", target.key));
    client.run_with_open_input(command).await
}

pub(crate) async fn lists_tools_and_resources(client: &Client, target: &Target) -> Result<()> {
    let finished = list(client, target).await?;
    let printed = format!("{}{}", finished.stdout, finished.stderr);
    assert!(finished.status.success(), "{printed}");
    for expected in
        ["Connected successfully!", "trigger-long-running-operation", "demo://resource/", "Exiting OK"]
    {
        assert!(printed.contains(expected), "no {expected:?} in {printed}\n{}", target.log());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_remote_lists_tools_and_resources() -> Result<()> {
    let Some(client) = Client::or_skip("mcp_remote_lists_tools_and_resources")? else { return Ok(()) };
    let target = Target::transparent(&client).await?;
    lists_tools_and_resources(&client, &target).await
}
