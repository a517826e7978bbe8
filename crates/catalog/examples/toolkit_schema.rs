//! Prints the JSON Schema of the toolkit file:
//! `cargo run -p switchboard-catalog --example toolkit_schema > docs/toolkit.schema.json`.

fn main() {
    println!("{:#}", switchboard_catalog::json_schema());
}
