//! Whether two specifications describe the same server.

use trunkline_model::{Command, Endpoint, HttpEndpoint, Secret, ServerAuth, ServerSpec};

/// Whether an instance of `left` may go on as an instance of `right`.
pub(super) fn same(left: &ServerSpec, right: &ServerSpec) -> bool {
    // Named one by one, so that a new field cannot be forgotten here.
    let ServerSpec { name, endpoint, era, instances, idle_timeout, call_timeout } = left;
    *name == right.name
        && same_endpoint(endpoint, &right.endpoint)
        && *era == right.era
        && *instances == right.instances
        && *idle_timeout == right.idle_timeout
        && *call_timeout == right.call_timeout
}

fn same_endpoint(left: &Endpoint, right: &Endpoint) -> bool {
    match (left, right) {
        (Endpoint::Stdio(left), Endpoint::Stdio(right)) => same_command(left, right),
        (Endpoint::Http(left), Endpoint::Http(right)) => same_address(left, right),
        (Endpoint::Stdio(_), Endpoint::Http(_)) | (Endpoint::Http(_), Endpoint::Stdio(_)) => false,
    }
}

fn same_command(left: &Command, right: &Command) -> bool {
    let Command { program, args, env, cwd } = left;
    *program == right.program && *args == right.args && *cwd == right.cwd && same_secrets(env, &right.env)
}

fn same_address(left: &HttpEndpoint, right: &HttpEndpoint) -> bool {
    let HttpEndpoint { url, transport, headers, auth } = left;
    *url == right.url
        && *transport == right.transport
        && same_secrets(
            headers.iter().map(|(name, value)| (name, value)),
            right.headers.iter().map(|(name, value)| (name, value)),
        )
        && same_auth(auth, &right.auth)
}

fn same_auth(left: &ServerAuth, right: &ServerAuth) -> bool {
    match (left, right) {
        (ServerAuth::None, ServerAuth::None) => true,
        (ServerAuth::Bearer(left), ServerAuth::Bearer(right)) => left.same_as(right),
        (ServerAuth::OAuth(left), ServerAuth::OAuth(right)) => left.same_as(right),
        (ServerAuth::Exchange(left), ServerAuth::Exchange(right)) => left.same_as(right),
        (ServerAuth::IdJag(left), ServerAuth::IdJag(right)) => left.same_as(right),
        (
            ServerAuth::None
            | ServerAuth::Bearer(_)
            | ServerAuth::OAuth(_)
            | ServerAuth::Exchange(_)
            | ServerAuth::IdJag(_),
            _,
        ) => false,
    }
}

fn same_secrets<'a>(
    left: impl IntoIterator<Item = (&'a String, &'a Secret)>,
    right: impl IntoIterator<Item = (&'a String, &'a Secret)>,
) -> bool {
    let mut right = right.into_iter();
    left.into_iter().all(|(name, value)| {
        right.next().is_some_and(|(other_name, other)| name == other_name && value.same_as(other))
    }) && right.next().is_none()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, Secret> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect()
    }

    #[test]
    fn secrets_are_the_same_when_all_names_and_values_are() {
        let base = environment(&[("A", "1"), ("B", "2")]);
        assert!(same_secrets(&base, &environment(&[("B", "2"), ("A", "1")])));
        for other in
            [&[("A", "1")][..], &[("A", "1"), ("B", "3")], &[("A", "1"), ("B", "2"), ("C", "3")], &[]]
        {
            assert!(!same_secrets(&base, &environment(other)), "{other:?}");
            assert!(!same_secrets(&environment(other), &base), "{other:?}");
        }
    }
}
