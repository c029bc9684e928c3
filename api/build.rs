//! Sees to it that releases carry the playground.
#![allow(
    clippy::print_stdout,
    reason = "this is how a build script speaks to cargo"
)]

fn main() {
    println!("cargo:rerun-if-env-changed=MILLRACE_REQUIRE_WEB");
    println!("cargo:rerun-if-changed=web/dist/index.html");
    let required = std::env::var_os("MILLRACE_REQUIRE_WEB").is_some_and(|value| value == "1");
    if required && !std::path::Path::new("web/dist/index.html").exists() {
        println!(
            "cargo:error=the playground is not built: run `npm ci && npm run build` in api/web, or unset MILLRACE_REQUIRE_WEB"
        );
    }
}
