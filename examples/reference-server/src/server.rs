//! What the library calls for each request: finds the entry, and lets it answer.

#![expect(deprecated, reason = "2026-07-28 deprecates logging and subscriptions; a legacy client needs them")]

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult,
    CompletionInfo, GetPromptRequestParams, GetPromptResponse, GetSkillRequestParams, GetSkillResult,
    GetTaskParams, GetTaskResult, Implementation, InitializeRequestParams, InitializeResult,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ReadResourceDirectoryRequestParams, ReadResourceDirectoryResult,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};

use crate::change::{tell_session, tell_subscription};
use crate::conversation::Conversation;
use crate::era::{Era, Eras};
use crate::list::page;
use crate::log::Level;
use crate::prompt;
use crate::resource;
use crate::session::Session;
use crate::shared::Shared;
use crate::skill;
use crate::tool::{self, Call, Entry, PASSING};
use crate::unfinished::Unfinished;

type Context = RequestContext<RoleServer>;
type Listed<T> = Result<T, ErrorData>;

/// Serves one client; what [`Session`] says about the modern era holds here too.
#[derive(Clone)]
pub(crate) struct Server {
    shared: Arc<Shared>,
    session: Arc<Session>,
}

impl Server {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, session: Arc::default() }
    }

    fn tools(&self) -> Vec<Tool> {
        let mut tools: Vec<Tool> = tool::all().iter().map(|entry| entry.tool.clone()).collect();
        if self.shared.extra().tool {
            tools.push(tool::passing().tool);
        }
        tools
    }

    async fn answer(&self, request: CallToolRequestParams, context: Context) -> tool::Answer {
        let passing: Option<Entry> =
            (request.name == PASSING && self.shared.extra().tool).then(tool::passing);
        let entry = tool::all()
            .iter()
            .find(|entry| entry.tool.name == request.name)
            .or(passing.as_ref())
            .ok_or_else(|| ErrorData::invalid_params(format!("Unknown tool: {}", request.name), None))?;
        let shared = Arc::clone(&self.shared);
        let cancelled = context.ct.clone();
        let call = Call { shared, session: Arc::clone(&self.session), request, context };
        self.shared.calls.begin();
        tokio::select! {
            answer = self.work(entry, call) => answer,
            () = cancelled.cancelled() => {
                self.shared.calls.cancel();
                Err(Unfinished::Refused("The request was cancelled.".to_owned()))
            }
        }
    }

    async fn work(&self, entry: &Entry, call: Call) -> tool::Answer {
        let delay = Duration::from_millis(self.shared.conduct.delay_ms);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        entry.answer(call).await
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut capabilities = ServerCapabilities::builder()
            .enable_logging()
            .enable_completions()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_tasks()
            .enable_skills_with_directory_read()
            .build();
        if self.shared.conduct.era == Eras::Legacy {
            // Both extensions are younger.
            capabilities.extensions = None;
        }
        let name = Implementation::new("trunkline-reference-server", env!("CARGO_PKG_VERSION"))
            .with_title("Trunkline reference server");
        ServerConfig::new(capabilities)
            .with_server_info(name)
            .with_instructions("A server for tests. Nothing here means anything.")
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Owned(self.shared.conduct.era.versions())
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: Context,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let result = self.negotiate_initialize(&request)?;
        tokio::spawn(tell_session(self.shared.changes(), Arc::clone(&self.session), context));
        Ok(result)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Listed<ListToolsResult> {
        let page = page(self.tools(), request, &self.shared.conduct)?;
        Ok(ListToolsResult { next_cursor: page.next, ..ListToolsResult::with_all_items(page.entries) })
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let era = Era::of(&context);
        self.answer(request, context).await.or_else(|unfinished| unfinished.into_call_answer(era))
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Listed<ListPromptsResult> {
        let page = page(prompt::listed(self.shared.extra()), request, &self.shared.conduct)?;
        Ok(ListPromptsResult { next_cursor: page.next, ..ListPromptsResult::with_all_items(page.entries) })
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let answer = async {
            let conversation = Conversation::of_prompt(&context, &self.shared.seal, &request)?;
            prompt::get(&request, self.shared.extra(), conversation).await
        };
        answer
            .await
            .map(Into::into)
            .or_else(|unfinished: Unfinished| unfinished.into_answer(Era::of(&context)))
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Listed<ListResourcesResult> {
        let page = page(resource::listed(self.shared.extra()), request, &self.shared.conduct)?;
        Ok(ListResourcesResult {
            next_cursor: page.next,
            ..ListResourcesResult::with_all_items(page.entries)
        })
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Listed<ListResourceTemplatesResult> {
        Ok(ListResourceTemplatesResult::with_all_items(resource::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let answer = async {
            let conversation = Conversation::of_resource(&context, &self.shared.seal, &request)?;
            resource::read(&request.uri, self.shared.extra(), conversation).await
        };
        answer
            .await
            .map(Into::into)
            .or_else(|unfinished: Unfinished| unfinished.into_answer(Era::of(&context)))
    }

    async fn subscribe(&self, request: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        self.session.subscribe(request.uri, self.shared.extra().changes);
        Ok(())
    }

    async fn unsubscribe(&self, request: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        self.session.unsubscribe(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        tell_subscription(self.shared.changes(), subscription).await
    }

    async fn set_level(&self, request: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        self.session.set_level(Level::of(request.level).unwrap_or_default());
        Ok(())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: Context,
    ) -> Result<CompleteResult, ErrorData> {
        let known = request.r#ref.as_prompt_name() == Some(prompt::WITH_ARGUMENTS);
        let begun = request.argument.value.as_str();
        let values = prompt::COMPLETIONS.iter().filter(|value| known && value.starts_with(begun));
        let completion = CompletionInfo::with_all_values(values.map(ToString::to_string).collect())
            .map_err(|reason| ErrorData::internal_error(reason, None))?;
        Ok(CompleteResult::new(completion))
    }

    async fn get_task(&self, request: GetTaskParams, _: Context) -> Result<GetTaskResult, ErrorData> {
        Ok(GetTaskResult::new(self.shared.tasks.get_task(&request.task_id)?))
    }

    async fn update_task(&self, request: UpdateTaskParams, _: Context) -> Result<(), ErrorData> {
        self.shared.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: Context) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&request.task_id)
    }

    async fn list_skills(&self, _: Option<PaginatedRequestParams>, _: Context) -> Listed<ListSkillsResult> {
        Ok(ListSkillsResult::with_all_items(skill::skills()))
    }

    async fn get_skill(
        &self,
        request: GetSkillRequestParams,
        _: Context,
    ) -> Result<GetSkillResult, ErrorData> {
        Ok(GetSkillResult::new(skill::skill(&request.uri)?))
    }

    async fn read_resource_directory(
        &self,
        request: ReadResourceDirectoryRequestParams,
        _: Context,
    ) -> Result<ReadResourceDirectoryResult, ErrorData> {
        Ok(ReadResourceDirectoryResult::with_all_items(skill::directory(&request.uri)?))
    }
}
