"""A conversation, whichever API it came through: the tools that the model is offered, and what was said."""

import json

from rules import Refused, require


class Talk:
    """`tools` have name, description, schema and strict. `rounds` are the calls since the user last spoke, each round
    with its (name, arguments, result); a result is text."""

    def __init__(self, tools):
        self.tools = tools
        self.user_texts, self.rounds, self.open = [], [], {}

    def user(self, text):
        require(not self.open, f"no result for the calls {list(self.open)}")
        require(isinstance(text, str) and text, f"a user's message without text: {text!r}")
        self.user_texts.append(text)
        self.rounds = []

    def calls(self, calls):
        """What the model said: (id, name, arguments) for each call, nothing if it answered with text."""
        require(not self.open, f"no result for the calls {list(self.open)}")
        known = {tool["name"] for tool in self.tools}
        for id, name, given in calls:
            require(name in known, f"the conversation has a call of {name}, which is not offered")
            self.open[id] = (name, given)
        if calls:
            self.rounds.append([])

    def result(self, id, text):
        require(id in self.open, f"a result for {id!r}, which waits for none")
        require(isinstance(text, str), f"a result that is no text: {text!r}")
        self.rounds[-1].append((*self.open.pop(id), text))

    def finish(self):
        require(not self.open, f"no result for the calls {list(self.open)}")
        require(self.user_texts, "the user said nothing")
        return self

    def results(self):
        """The results of the last round, by the name of the tool."""
        return {name: text for name, _given, text in self.rounds[-1]}


def unpack(text):
    """The result of a Composio tool as every provider package hands it on: an object with data, successful, error."""
    try:
        value = json.loads(text)
    except ValueError:
        raise Refused(f"a result that is not JSON: {text}") from None
    require(isinstance(value, dict), f"a result that is no object: {text}")
    require({"data", "successful", "error"} <= set(value), f"a result without data, successful or error: {text}")
    return value


def data(text):
    """The data of a successful call."""
    value = unpack(text)
    require(value["successful"] is True and value["error"] is None, f"it failed: {text}")
    require(isinstance(value["data"], dict), f"data is no object: {text}")
    return value["data"]


def failure(text):
    """Error and data of a call that failed."""
    value = unpack(text)
    require(value["successful"] is False, f"it did not fail: {text}")
    require(isinstance(value["error"], str) and value["error"], f"it failed without a reason: {text}")
    return value["error"], value["data"]
