//! One route of the admin API.

use axum::handler::Handler;
use axum::routing::{MethodRouter, on};
use http::Method;

use crate::{Admin, Needs};

/// A method and a path, what they ask of their caller, and what answers.
#[derive(Debug)]
pub struct Route {
    pub method: Method,
    /// With its parameters in braces.
    pub path: &'static str,
    pub needs: Needs,
    pub summary: &'static str,
    pub(crate) handler: MethodRouter<Admin>,
}

macro_rules! verb {
    ($name:ident, $method:ident) => {
        pub(crate) fn $name<H, T>(path: &'static str, needs: Needs, summary: &'static str, handler: H) -> Self
        where
            H: Handler<T, Admin>,
            T: 'static,
        {
            let handler = on(axum::routing::MethodFilter::$method, handler);
            Self { method: Method::$method, path, needs, summary, handler }
        }
    };
}

impl Route {
    verb!(get, GET);
    verb!(post, POST);
    verb!(patch, PATCH);
    verb!(put, PUT);
    verb!(delete, DELETE);
}
