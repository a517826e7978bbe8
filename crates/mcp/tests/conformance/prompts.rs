//! Prompts that the suite gets by name.

use serde_json::{Value, json};
use switchboard_mcp::{Call, Failure, Outcome};

use crate::questions::{accepted, ask, form};
use crate::tools::{PNG, text};

pub fn list() -> Value {
    let argument = |name: &str| json!({ "name": name, "description": name, "required": true });
    json!({ "prompts": [
        { "name": "test_input_required_result_prompt", "description": "Asks first" },
        { "name": "test_prompt_with_arguments", "description": "Repeats its arguments",
          "arguments": [argument("arg1"), argument("arg2")] },
        { "name": "test_prompt_with_embedded_resource", "description": "Has a resource",
          "arguments": [argument("resourceUri")] },
        { "name": "test_prompt_with_image", "description": "Has an image" },
        { "name": "test_simple_prompt", "description": "Has a text" },
    ] })
}

pub fn get(call: &Call) -> Result<Outcome, Failure> {
    let argument = |name: &str| {
        let value = call.arguments.as_ref().and_then(|arguments| arguments.get(name)).and_then(Value::as_str);
        value.ok_or_else(|| Failure::invalid_params(format!("The argument {name} must be a string")))
    };
    let contents = match call.name.as_str() {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (one, two) = (argument("arg1")?, argument("arg2")?);
            vec![text(&format!("Prompt with arguments: arg1='{one}', arg2='{two}'"))]
        }
        "test_prompt_with_embedded_resource" => {
            let resource = json!({
                "uri": argument("resourceUri")?,
                "mimeType": "text/plain",
                "text": "Embedded resource content for testing.",
            });
            vec![
                json!({ "type": "resource", "resource": resource }),
                text("Please process the embedded resource above."),
            ]
        }
        "test_prompt_with_image" => vec![
            json!({ "type": "image", "data": PNG, "mimeType": "image/png" }),
            text("Please analyze the image above."),
        ],
        "test_input_required_result_prompt" => {
            let Some(content) = accepted(&call.answers, "user_context") else {
                let question = form("What context should the prompt use?", "context", "string");
                return Ok(ask([("user_context", question)], None));
            };
            vec![text(&format!("The context is {}", content["context"]))]
        }
        name => return Err(Failure::invalid_params(format!("There is no prompt {name}"))),
    };
    let messages: Vec<Value> =
        contents.into_iter().map(|content| json!({ "role": "user", "content": content })).collect();
    Ok(Outcome::of(&json!({ "messages": messages })))
}
