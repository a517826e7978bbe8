// Published clients of MCP, unmodified, against the endpoint of a session: each lists the tools, gets a link for the user,
// waits until the user has connected, and calls a tool. Frameworks of agents do so with the scripted model of
// tests/sdk/model. One JSON line per client.
//
// It needs person.mjs and a node_modules from tests/sdk/node-frameworks beside it. Environment: BASE_URL (origin of the
// server), KEY (project API key), MODEL_URL (origin of the model). A line is {"name", "outcome", "note", "ms"}; outcome is
// works or failed. Exits 1 when a client failed.
import assert from 'node:assert/strict';
import { Person } from './person.mjs';

// Read when a package is loaded: nothing may be sent outside of this run.
Object.assign(process.env, { MASTRA_TELEMETRY_DISABLED: '1', AI_SDK_LOG_WARNINGS: 'false' });

const { Client: Client1 } = await import('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport: Transport1 } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { Client: Client2, StreamableHTTPClientTransport: Transport2 } = await import('@modelcontextprotocol/client');
const { createMCPClient } = await import('@ai-sdk/mcp');
const { createOpenAI } = await import('@ai-sdk/openai');
const { generateText, stepCountIs } = await import('ai');
const { MCPClient } = await import('@mastra/mcp');
const { Agent } = await import('@mastra/core/agent');

const [BASE, KEY, MODEL] = ['BASE_URL', 'KEY', 'MODEL_URL'].map(name => process.env[name].replace(/\/$/, ''));
const headers = { 'x-api-key': KEY };
const [MANAGE, WAIT, CREATE] = ['COMPOSIO_MANAGE_CONNECTIONS', 'COMPOSIO_WAIT_FOR_CONNECTIONS', 'SANDBOX_CREATE_NOTE'];
const ME = { name: 'test', version: '1' };
// More than the script takes.
const MOST_STEPS = 8;

// The URL of the endpoint of a new session, whose user has connected nothing.
let users = 0;
async function newSession() {
  const body = JSON.stringify({
    user_id: `mcp-js-${process.pid}-${++users}`,
    toolkits: { enable: ['sandbox'] },
    preload: { tools: [CREATE] },
    manage_connections: { enable: true, enable_wait_for_connections: true },
  });
  const init = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body };
  const answer = await fetch(`${BASE}/api/v3.1/tool_router/session`, init);
  assert.equal(answer.status, 201);
  return new URL((await answer.json()).mcp.url);
}

// What an application does that has no model.
async function byHand(client) {
  const data = async (name, args) => {
    const result = await client.callTool({ name, arguments: args });
    assert.ok(!result.isError, JSON.stringify(result));
    const answer = JSON.parse(result.content[0].text);
    assert.deepEqual(answer, result.structuredContent);
    assert.equal(answer.successful, true);
    return answer.data;
  };
  const names = (await client.listTools()).tools.map(tool => tool.name);
  assert.equal(names[0], CREATE);
  assert.ok(names.includes(MANAGE) && names.includes(WAIT), `${names}`);
  const link = await data(MANAGE, { toolkits: ['sandbox'] });
  const opening = new Person().follow(link.results.sandbox.redirect_url);
  const waited = await data(WAIT, { toolkits: ['sandbox'] });
  assert.equal(waited.results.sandbox.status, 'ACTIVE');
  const made = await data(CREATE, { text: 'written by hand' });
  assert.equal(made.text, 'written by hand');
  await opening;
}

// What a user of an agent sees. `ask` says something and returns what the model answers.
async function withModel(name, ask) {
  const answer = await ask('Keep a note.');
  assert.ok(answer.startsWith('Please open '), answer);
  const opening = new Person().follow(answer.replace('Please open ', ''));
  const last = await ask('I am opening it. Go on.');
  assert.ok(last.startsWith('created note_'), last);
  await opening;
  const found = await (await fetch(`${MODEL}/chat/${name}`)).json();
  assert.deepEqual([found.requests, found.refused], [5, []]);
}
const model = name => createOpenAI({ apiKey: 'sk-test', baseURL: `${MODEL}/chat/${name}/v1` }).chat('gpt-4o');

const clients = {
  // It knows revisions with a handshake.
  async '@modelcontextprotocol/sdk'() {
    const client = new Client1(ME);
    const transport = new Transport1(await newSession(), { requestInit: { headers } });
    await client.connect(transport);
    assert.equal(transport.protocolVersion, '2025-11-25');
    await byHand(client);
    await client.close();
  },

  // It asks for the newest revision first.
  async '@modelcontextprotocol/client'() {
    const client = new Client2(ME, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new Transport2(await newSession(), { requestInit: { headers } }));
    assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
    await byHand(client);
    await client.close();
  },

  async '@ai-sdk/mcp'() {
    const client = await createMCPClient({ transport: { type: 'http', url: (await newSession()).href, headers } });
    const [tools, messages] = [await client.tools(), []];
    await withModel('ai', async content => {
      messages.push({ role: 'user', content });
      const stopWhen = stepCountIs(MOST_STEPS);
      const answer = await generateText({ model: model('ai'), tools, messages, stopWhen, maxRetries: 0 });
      messages.push(...answer.response.messages);
      return answer.text;
    });
    await client.close();
  },

  async '@mastra/mcp'() {
    const servers = { switchboard: { url: await newSession(), requestInit: { headers } } };
    const client = new MCPClient({ id: 'test', servers });
    const tools = await client.listTools();
    const given = { id: 'notes', name: 'notes', instructions: 'You keep notes.', tools, maxRetries: 0 };
    const [agent, messages] = [new Agent({ ...given, model: model('mastra') }), []];
    await withModel('mastra', async content => {
      messages.push({ role: 'user', content });
      const answer = await agent.generate(messages, { maxSteps: MOST_STEPS });
      messages.push(...answer.response.messages);
      return answer.text;
    });
    await client.disconnect();
  },
};

let failures = 0;
for (const [name, run] of Object.entries(clients)) {
  if (process.argv.length > 2 && !process.argv.includes(name)) continue;
  const started = Date.now();
  let [outcome, note] = ['works', ''];
  try {
    await run();
  } catch (error) {
    failures += 1;
    [outcome, note] = ['failed', `${error.stack}`.slice(0, 3000)];
  }
  console.log(JSON.stringify({ name, outcome, note, ms: Date.now() - started }));
}
process.exit(failures ? 1 : 0);
