//! nginx in front of the same upstream: what forwarding costs at least.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{Process, free_port};

/// nginx and where it listens.
pub(crate) struct Nginx {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

/// Starts nginx with one worker, kept-open connections on both sides, and no log.
pub(crate) fn start(directory: &Path, upstream: SocketAddr) -> Result<Nginx> {
    let address: SocketAddr = ([127, 0, 0, 1], free_port()?).into();
    let path = directory.join("nginx.conf");
    fs::write(&path, configuration(directory, address, upstream))?;
    let mut command = Command::new(program());
    command.arg("-c").arg(&path).arg("-p").arg(directory).arg("-e").arg(directory.join("nginx-error.log"));
    let process =
        Process::start("nginx", &mut command, directory).context("Debian's package is nginx-light")?;
    Ok(Nginx { process, address })
}

/// Debian keeps it out of the PATH of ordinary users.
fn program() -> &'static str {
    if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" }
}

/// Buffers hold every answer, so that nothing touches a disk.
fn configuration(directory: &Path, listen: SocketAddr, upstream: SocketAddr) -> String {
    let directory = directory.display();
    format!(
        "daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {directory}/nginx-body;
  proxy_temp_path {directory}/nginx-proxy;
  fastcgi_temp_path {directory}/nginx-fastcgi;
  uwsgi_temp_path {directory}/nginx-uwsgi;
  scgi_temp_path {directory}/nginx-scgi;
  client_body_buffer_size 256k;
  proxy_buffer_size 64k;
  proxy_buffers 16 64k;
  proxy_busy_buffers_size 128k;
  proxy_max_temp_file_size 0;
  keepalive_requests 100000000;
  upstream mcp {{
    server {upstream};
    keepalive 256;
    keepalive_requests 100000000;
  }}
  server {{
    listen {listen};
    location / {{
      proxy_pass http://mcp;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
    }}
  }}
}}
"
    )
}
