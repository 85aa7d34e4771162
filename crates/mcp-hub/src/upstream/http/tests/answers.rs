//! One request and its answer.

use axum::response::IntoResponse as _;

use super::*;

async fn modern_with(
    otherwise: impl Fn(&Asked) -> axum::response::Response + Send + Sync + 'static,
) -> Scripted {
    Scripted::start(move |asked| modern(asked, &otherwise)).await
}

async fn legacy_with(
    otherwise: impl Fn(&Asked) -> axum::response::Response + Send + Sync + 'static,
) -> Scripted {
    Scripted::start(move |asked| {
        legacy(
            asked,
            |asked| if asked.method == ::http::Method::GET { status(405) } else { otherwise(asked) },
        )
    })
    .await
}

#[tokio::test]
async fn a_json_answer_comes_back_as_the_server_wrote_it() {
    let mut server = modern_with(|asked| result(asked, r#"{ "content":[], "x" : 1.0e2 }"#)).await;
    let connection = connected(&server.url).await;
    let mut outgoing = call(next(), "größe");
    outgoing.param_headers = vec![("Mcp-Param-Region".to_owned(), "eu".to_owned())];
    assert_eq!(done(connection.ask(outgoing).await.unwrap()), r#"{ "content":[], "x" : 1.0e2 }"#);
    let asked = server.next("tools/call").await;
    assert_eq!(asked.headers["mcp-method"], "tools/call");
    assert_eq!(asked.headers["mcp-name"], "=?base64?Z3LDtsOfZQ==?=");
    assert_eq!(asked.headers["mcp-param-region"], "eu");
    assert_eq!(asked.headers["mcp-protocol-version"], "2026-07-28");
    assert!(!asked.headers.contains_key("mcp-session-id"));
}

#[tokio::test]
async fn a_legacy_call_carries_the_session_and_none_of_the_modern_headers() {
    let mut server = legacy_with(|asked| result(asked, "{}")).await;
    let connection = connected(&server.url).await;
    assert_eq!(done(connection.ask(call(next(), "a")).await.unwrap()), "{}");
    let asked = server.next("tools/call").await;
    assert_eq!(asked.headers["mcp-session-id"], "session-7");
    assert!(!asked.headers.contains_key("mcp-method") && !asked.headers.contains_key("mcp-name"));
}

#[tokio::test]
async fn an_event_stream_may_be_cut_anywhere() {
    let length = data(&result_text("100000", r#"{"text":"ä"}"#)).len();
    for piece in 1..=length {
        let server = modern_with(move |asked| {
            events_in_pieces(
                &format!(": hello\r\n\r\n{}", data(&result_text(&asked.id(), r#"{"text":"ä"}"#))),
                piece,
            )
        })
        .await;
        let connection = connected(&server.url).await;
        assert_eq!(done(connection.ask(call(next(), "a")).await.unwrap()), r#"{"text":"ä"}"#, "{piece}");
    }
}

#[tokio::test]
async fn notifications_come_before_the_answer_in_their_order() {
    let server = modern_with(|asked| {
        let note = |n: u32| {
            data(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"n":{n}}}}}"#))
        };
        events(&format!("{}{}{}", note(1), note(2), data(&result_text(&asked.id(), "{}"))))
    })
    .await;
    let connection = connected(&server.url).await;
    let Exchange::Open(mut exchange) = connection.ask(call(next(), "a")).await.unwrap() else {
        panic!("open")
    };
    for n in 1..=2 {
        assert_eq!(exchange.next().await.unwrap().payload().unwrap(), format!(r#"{{"n":{n}}}"#));
    }
    assert_eq!(exchange.next().await.unwrap().payload(), Some("{}"));
}

#[tokio::test]
async fn a_flood_of_notifications_never_costs_the_answer() {
    let server = modern_with(|asked| {
        let flood = data(r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#).repeat(1000);
        events(&(flood + &data(&result_text(&asked.id(), "{}"))))
    })
    .await;
    let connection = connected(&server.url).await;
    let Exchange::Open(mut exchange) = connection.ask(call(next(), "a")).await.unwrap() else {
        panic!("open")
    };
    while exchange.next().await.unwrap().method().is_some() {}
}

#[tokio::test]
async fn an_error_answer_on_http_400_and_404_is_an_answer() {
    for code in [400, 404] {
        let server = modern_with(move |asked| json_body(code, &error_text(&asked.id(), -32601))).await;
        let connection = connected(&server.url).await;
        assert!(done(connection.ask(call(next(), "a")).await.unwrap()).contains("-32601"), "{code}");
    }
}

#[tokio::test]
async fn a_lost_session_is_told_from_other_refusals() {
    let gone = |asked: &Asked| json_body(404, &error_text(&asked.id(), -32001));
    let unknown = |asked: &Asked| {
        let error = r#"{"code":-32000,"message":"Bad Request: No valid Session ID provided"}"#;
        json_body(400, &format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, asked.id()))
    };
    for server in [legacy_with(gone).await, legacy_with(unknown).await] {
        let connection = connected(&server.url).await;
        let error = connection.ask(call(next(), "a")).await.unwrap_err();
        assert!(matches!(error, UpstreamError::SessionLost), "{error}");
    }
    let server = legacy_with(|asked| json_body(400, &error_text(&asked.id(), -32000))).await;
    let connection = connected(&server.url).await;
    assert!(done(connection.ask(call(next(), "a")).await.unwrap()).contains("-32000"));
}

#[tokio::test]
async fn what_is_no_answer_is_refused_without_showing_the_body() {
    let large = "x".repeat(5000);
    let cases: Vec<(axum::response::Response, &str)> = vec![
        (
            ([("content-type", "text/html")], "hunter2").into_response(),
            "HTTP 200 with content type text/html",
        ),
        (
            (::http::StatusCode::BAD_GATEWAY, "hunter2").into_response(),
            "HTTP 502 with content type text/plain",
        ),
        (status(202), "HTTP 202 without a content type"),
        (json_body(200, &result_text("999999", r#""hunter2""#)), "the id of another request"),
        (events(&data(&result_text("999999", r#""hunter2""#))), "the id of another request"),
        (json_body(200, "hunter2"), "not valid UTF-8 JSON"),
        (events("data: hunter2\n\n"), "not valid UTF-8 JSON"),
        (json_body(200, "[]"), "batches"),
        (json_body(200, r#"{"jsonrpc":"2.0","method":"hunter2"}"#), "instead of an answer"),
        (json_body(200, &large), "larger than 4096 bytes"),
        (events(&data(&large)), "larger than 4096 bytes"),
        (events(": nothing\n\n"), "the stream ended before the answer"),
    ];
    for (response, expected) in cases {
        let response = std::sync::Mutex::new(Some(response));
        let server = modern_with(move |_| response.lock().unwrap().take().unwrap()).await;
        let connection = connected(&server.url).await;
        let error = connection.ask(call(next(), "a")).await.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{expected}: {error}");
    }
}

#[tokio::test]
async fn a_redirected_call_is_not_followed() {
    let mut server = modern_with(|_| {
        let mut response = status(308);
        response.headers_mut().insert("location", "/other".parse().unwrap());
        response
    })
    .await;
    let connection = connected(&server.url).await;
    let error = connection.ask(call(next(), "a")).await.unwrap_err();
    assert!(
        matches!(&error, UpstreamError::Protocol { reason } if reason.contains("another path")),
        "{error}"
    );
    assert_eq!(server.so_far(), ["server/discover", "tools/call"]);
}

#[tokio::test]
async fn a_token_that_is_no_longer_taken_asks_for_consent() {
    let server = modern_with(|_| status(401)).await;
    let connection = connected(&server.url).await;
    let error = connection.ask(call(next(), "a")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::NeedsConsent { .. }), "{error}");
}

#[tokio::test]
async fn a_ping_of_the_server_is_answered_at_once_and_a_question_reaches_its_request() {
    let mut server = legacy_with(|asked| match asked.what() {
        "reply" => status(202),
        _ => events(&format!(
            "{}{}{}",
            data(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#),
            data(r#"{"jsonrpc":"2.0","id":5,"method":"sampling/createMessage","params":{}}"#),
            data(&result_text(&asked.id(), "{}"))
        )),
    })
    .await;
    let connection = connected(&server.url).await;
    let Exchange::Open(mut open) = connection.ask(call(next(), "a")).await.unwrap() else {
        panic!("a question")
    };
    let question = open.next().await.unwrap();
    assert_eq!((question.method(), question.id()), (Some("sampling/createMessage"), Some("5")));
    open.reply().send(Bytes::from_static(br#"{"jsonrpc":"2.0","id":5,"result":{"role":"user"}}"#));
    assert_eq!(open.next().await.unwrap().payload(), Some("{}"));
    let pong = server.next("reply").await;
    assert_eq!((&pong.body["id"], &pong.body["result"]), (&"p".into(), &serde_json::json!({})));
    let answer = server.next("reply").await;
    assert_eq!((&answer.body["id"], &answer.body["result"]["role"]), (&5.into(), &"user".into()));
    assert_eq!(answer.headers["mcp-session-id"], "session-7");
}

fn next() -> u64 {
    crate::upstream::next_id()
}
