"""The three APIs through which models are asked: their requests as a Talk, and an answer as their response. Members
that a client needs are there; numbers of tokens are invented."""

import itertools
import json

from rules import arguments, check_anthropic, check_openai, check_tools, require
from talk import Talk

NUMBERS = itertools.count(1)


def text_of(content, *kinds):
    """A message's text, which may come in parts."""
    if isinstance(content, str):
        return content
    require(isinstance(content, list), f"content is neither text nor parts: {content!r}")
    for part in content:
        require(part.get("type") in kinds, f"a part of type {part.get('type')!r}")
    return "".join(part["text"] for part in content)


def offered(tools, schema, check):
    """The definitions of tools, once they are checked. `schema` is the member with the schema of the arguments."""

    members = {"name": "name", "description": "description", "schema": schema, "strict": "strict"}
    tools = [{key: it.get(member) for key, member in members.items()} for it in tools or []]
    check_tools(tools, check)
    return tools


def functions(tools):
    """Tools of OpenAI, of which these tests have only functions."""
    for tool in tools or []:
        require(tool.get("type") == "function", f"a tool of type {tool.get('type')!r}")
    return tools or []


class Chat:
    """OpenAI's POST /chat/completions."""

    @staticmethod
    def read(request, headers):
        require(headers.get("authorization", "").startswith("Bearer "), "no bearer token")
        tools = [tool["function"] for tool in functions(request.get("tools"))]
        talk = Talk(offered(tools, "parameters", check_openai))
        for message in request["messages"]:
            role, content = message.get("role"), message.get("content")
            if role == "user":
                talk.user(text_of(content, "text"))
            elif role == "assistant":
                calls = message.get("tool_calls") or []
                require(calls or content, "an assistant's message with nothing in it")
                talk.calls([(it["id"], it["function"]["name"], arguments(it["function"]["arguments"])) for it in calls])
            elif role == "tool":
                talk.result(message.get("tool_call_id"), text_of(content, "text"))
            else:
                require(role in ("system", "developer"), f"role {role!r}")
        return talk.finish()

    @staticmethod
    def write(request, answer):
        message = {"role": "assistant", "content": None, "refusal": None}
        if isinstance(answer, str):
            message["content"] = answer
        else:
            functions = [{"name": name, "arguments": json.dumps(given)} for name, given in answer]
            message["tool_calls"] = [
                {"id": f"call_{next(NUMBERS)}", "type": "function", "function": it} for it in functions
            ]
        choice = {"index": 0, "message": message, "finish_reason": "stop" if isinstance(answer, str) else "tool_calls"}
        return {
            "id": f"chatcmpl-{next(NUMBERS)}",
            "object": "chat.completion",
            "created": 1_800_000_000,
            "model": request["model"],
            "choices": [{**choice, "logprobs": None}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }

    @staticmethod
    def events(response):
        """The same in pieces, for `stream: true`."""
        (choice,) = response["choices"]
        delta = {key: value for key, value in choice["message"].items() if value is not None}
        for index, call in enumerate(delta.get("tool_calls", [])):
            call["index"] = index
        chunk = {**response, "object": "chat.completion.chunk", "usage": None}
        yield None, {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield None, {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
        yield None, {**chunk, "choices": [], "usage": response["usage"]}
        yield None, "[DONE]"


class Responses:
    """OpenAI's POST /responses. Items of earlier responses may be named by their id."""

    kept = {}

    @classmethod
    def read(cls, request, headers):
        require(headers.get("authorization", "").startswith("Bearer "), "no bearer token")
        talk = Talk(offered(functions(request.get("tools")), "parameters", check_openai))
        given = request["input"]
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        items = [cls.kept[it["id"]] if it.get("type") == "item_reference" else it for it in items]
        calls = []
        for item in items:
            if item.get("type") == "function_call":
                calls.append((item["call_id"], item["name"], arguments(item["arguments"])))
                continue
            if calls:
                talk.calls(calls)
                calls = []
            if item.get("type") == "function_call_output":
                talk.result(item["call_id"], text_of(item["output"], "input_text"))
            elif item.get("role") == "user":
                talk.user(text_of(item["content"], "input_text"))
            elif item.get("role") == "assistant":
                talk.calls([])
            else:
                require(item.get("role") in ("system", "developer"), f"an item {item!r}")
        require(not calls, "calls without results")
        return talk.finish()

    @classmethod
    def write(cls, request, answer):
        if isinstance(answer, str):
            content = [{"type": "output_text", "text": answer, "annotations": [], "logprobs": []}]
            output = [{"type": "message", "id": f"msg_{next(NUMBERS)}", "role": "assistant", "content": content}]
        else:
            output = [
                {
                    "type": "function_call",
                    "id": f"fc_{next(NUMBERS)}",
                    "call_id": f"call_{next(NUMBERS)}",
                    "name": name,
                    "arguments": json.dumps(given),
                }
                for name, given in answer
            ]
        for item in output:
            item["status"] = "completed"
            cls.kept[item["id"]] = item
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        return {
            "id": f"resp_{next(NUMBERS)}",
            "object": "response",
            "created_at": 1_800_000_000,
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": request["model"],
            "output": output,
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": request.get("tools") or [],
            "top_p": 1.0,
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, **details},
        }


class Messages:
    """Anthropic's POST /messages."""

    @staticmethod
    def read(request, headers):
        require(headers.get("x-api-key") or headers.get("authorization"), "no key")
        require(headers.get("anthropic-version"), "no anthropic-version")
        require(isinstance(request.get("max_tokens"), int), "max_tokens is required")
        talk = Talk(offered(request.get("tools"), "input_schema", check_anthropic))
        for message in request["messages"]:
            content = message["content"]
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            if message["role"] == "assistant":
                used = [it for it in blocks if it["type"] == "tool_use"]
                talk.calls([(it["id"], it["name"], it["input"]) for it in used])
                continue
            require(message["role"] == "user", f"role {message['role']!r}")
            for block in (it for it in blocks if it["type"] == "tool_result"):
                talk.result(block["tool_use_id"], text_of(block["content"], "text"))
            texts = [it["text"] for it in blocks if it["type"] == "text"]
            if texts:
                talk.user("".join(texts))
            require(not talk.open, f"no tool_result for {list(talk.open)}")
        return talk.finish()

    @staticmethod
    def write(request, answer):
        content = [{"type": "text", "text": answer}]
        if not isinstance(answer, str):
            calls = [{"id": f"toolu_{next(NUMBERS)}", "name": name, "input": given} for name, given in answer]
            content = [{"type": "tool_use", **call} for call in calls]
        return {
            "id": f"msg_{next(NUMBERS)}",
            "type": "message",
            "role": "assistant",
            "model": request["model"],
            "content": content,
            "stop_reason": "end_turn" if isinstance(answer, str) else "tool_use",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }


APIS = {"chat/completions": Chat, "responses": Responses, "messages": Messages}
