//! A directory provisions users and groups, in the form that Okta and Entra send.

use anyhow::{Context as _, Result};
use http::Method;
use serde_json::{Value, json};
use trunkline_tests::http::Endpoint;
use trunkline_tests::hub::TestHub;

const CONFIGURATION: &str = "profiles:\n  eng: { members: { groups: [Engineering] } }\n";
const ASK: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

struct Directory {
    hub: TestHub,
    token: String,
}

impl Directory {
    async fn start() -> Result<Self> {
        let hub = TestHub::start(CONFIGURATION).await?;
        let token = hub.cli(&["login", "scim-token"]).await?.trim().to_owned();
        Ok(Self { hub, token })
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Result<(u16, Value)> {
        let endpoint = Endpoint::new(&format!("{}/scim/v2{path}", self.hub.base())).with_key(&self.token);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("content-type", "application/scim+json")];
        let answer = endpoint.send(method, body, &headers).await?.whole().await?;
        let body = if answer.body.is_empty() { Value::Null } else { answer.json()? };
        Ok((answer.status.as_u16(), body))
    }

    async fn get(&self, path: &str) -> Result<(u16, Value)> {
        self.send(Method::GET, path, &Value::Null).await
    }

    async fn patch(&self, path: &str, operations: Value) -> Result<(u16, Value)> {
        let body =
            json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
        self.send(Method::PATCH, path, &body).await
    }

    async fn key_status(&self, key: &str) -> Result<u16> {
        let endpoint = self.hub.endpoint("eng").with_key(key);
        let accept = [("accept", "application/json, text/event-stream")];
        Ok(endpoint.post(ASK.to_owned(), &accept).await?.status.as_u16())
    }

    async fn key_of(&self, user: &str) -> Result<String> {
        Ok(self.hub.cli(&["key", "create", "--profile", "eng", "--user", user]).await?.trim().to_owned())
    }
}

fn id(resource: &Value) -> Result<String> {
    Ok(resource["id"].as_str().context("an id")?.to_owned())
}

#[tokio::test]
async fn okta_makes_a_user_puts_them_into_a_group_and_lets_them_go() -> Result<()> {
    let directory = Directory::start().await?;
    let (status, found) =
        directory.get("/Users?filter=userName%20eq%20%22ann%40example.org%22&startIndex=1&count=100").await?;
    assert_eq!((status, &found["totalResults"]), (200, &json!(0)));
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "ann@example.org", "name": {"givenName": "Ann", "familyName": "Lee"},
        "emails": [{"primary": true, "value": "ann@example.org", "type": "work"}],
        "displayName": "Ann Lee", "locale": "en-US", "externalId": "00u1", "groups": [], "password": "ignored-1", "active": true,
    });
    let (status, made) = directory.send(Method::POST, "/Users", &user).await?;
    assert_eq!(status, 201, "{made}");
    assert_eq!((&made["emails"], &made["externalId"]), (&user["emails"], &user["externalId"]));
    assert!(made.get("password").is_none());
    let (status, twice) = directory.send(Method::POST, "/Users", &user).await?;
    assert_eq!((status, &twice["scimType"], &twice["status"]), (409, &json!("uniqueness"), &json!("409")));
    let ann = id(&made)?;

    let key = directory.key_of("ann@example.org").await?;
    assert_eq!(directory.key_status(&key).await?, 403, "in no group yet");
    let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Engineering", "members": []});
    let (status, made) = directory.send(Method::POST, "/Groups", &group).await?;
    assert_eq!(status, 201, "{made}");
    let path = format!("/Groups/{}", id(&made)?);
    let (status, _) = directory
        .patch(&path, json!([{"op": "add", "path": "members", "value": [{"value": ann, "display": "ann@example.org"}]}]))
        .await?;
    assert_eq!(status, 204);
    assert_eq!(directory.key_status(&key).await?, 200);
    let (_, shown) = directory.get(&path).await?;
    assert_eq!(shown["members"][0]["value"], json!(ann));
    directory.patch(&path, json!([{"op": "remove", "path": format!("members[value eq \"{ann}\"]")}])).await?;
    assert_eq!(directory.key_status(&key).await?, 403);
    directory.patch(&path, json!([{"op": "replace", "path": "members", "value": [{"value": ann}]}])).await?;

    let (status, off) = directory
        .patch(&format!("/Users/{ann}"), json!([{"op": "replace", "value": {"active": false}}]))
        .await?;
    assert_eq!((status, &off["active"]), (200, &json!(false)));
    assert_eq!(directory.key_status(&key).await?, 401);
    Ok(())
}

#[tokio::test]
async fn entra_sends_text_for_booleans_and_operations_without_a_path() -> Result<()> {
    let directory = Directory::start().await?;
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "externalId": "bob-id", "userName": "Bob@example.org", "active": true, "displayName": "Bob",
        "emails": [{"primary": true, "type": "work", "value": "bob@example.org"}], "meta": {"resourceType": "User"},
        "name": {"formatted": "Bob Ray", "familyName": "Ray", "givenName": "Bob"},
    });
    let (status, made) = directory.send(Method::POST, "/Users", &user).await?;
    assert_eq!((status, &made["userName"]), (201, &json!("bob@example.org")));
    let bob = format!("/Users/{}", id(&made)?);
    let (status, changed) = directory
        .patch(&bob, json!([
            {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "robert@example.org"},
            {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "Sales"},
            {"op": "Replace", "value": {"displayName": "Robert", "name.givenName": "Robert"}},
            {"op": "Replace", "path": "active", "value": "False"},
        ]))
        .await?;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(changed["emails"][0]["value"], "robert@example.org");
    assert_eq!(
        (&changed["displayName"], &changed["name"]["givenName"]),
        (&json!("Robert"), &json!("Robert"))
    );
    assert_eq!(changed["active"], json!(false));
    let (_, found) = directory.get("/Users?filter=externalId%20eq%20%22bob-id%22").await?;
    assert_eq!(
        found["Resources"][0]["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]["department"],
        "Sales"
    );
    let (_, groups) =
        directory.get("/Groups?excludedAttributes=members&filter=displayName%20eq%20%22x%22").await?;
    assert_eq!(groups["totalResults"], json!(0));
    let (status, _) = directory.send(Method::DELETE, &bob, &Value::Null).await?;
    assert_eq!((status, directory.get(&bob).await?.0), (204, 404));
    Ok(())
}

#[tokio::test]
async fn only_the_newest_token_lets_a_directory_in_and_owners_are_not_its_own() -> Result<()> {
    let mut directory = Directory::start().await?;
    directory.hub.cli(&["user", "create", "olga", "--role", "owner"]).await?;
    directory.hub.cli(&["user", "create", "otto", "--role", "owner"]).await?;
    let (_, found) = directory.get("/Users?filter=userName%20eq%20%22olga%22").await?;
    let olga = format!("/Users/{}", id(&found["Resources"][0])?);
    let (status, refused) =
        directory.patch(&olga, json!([{"op": "replace", "path": "active", "value": false}])).await?;
    assert_eq!(
        (status, &refused["schemas"][0]),
        (403, &json!("urn:ietf:params:scim:api:messages:2.0:Error"))
    );
    assert_eq!(directory.send(Method::DELETE, &olga, &Value::Null).await?.0, 403);
    assert_eq!(directory.get("/Users?filter=userName%20sw%20%22o%22").await?.0, 400);
    assert_eq!(directory.get("/ServiceProviderConfig").await?.0, 200);
    let (_, page) = directory.get("/Users?startIndex=2&count=1").await?;
    assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(2), &json!(1)));

    let old = std::mem::replace(
        &mut directory.token,
        directory.hub.cli(&["login", "scim-token"]).await?.trim().to_owned(),
    );
    assert_eq!(directory.get("/Users").await?.0, 200);
    directory.token = old;
    assert_eq!(directory.get("/Users").await?.0, 401);
    directory.token = directory.hub.create_key("eng").await?;
    assert_eq!(directory.get("/Users").await?.0, 401, "an API key is none");
    Ok(())
}
