// The provider packages of Composio's TypeScript SDK, unmodified, each with the framework that it is for, against a
// server and the scripted model of tests/sdk/model; one JSON line per case.
//
// It needs person.mjs and a node_modules from node-frameworks beside it. Environment: BASE_URL (origin of the server), KEY
// (project API key), MODEL_URL (origin of the model), PUBLIC_FILES (the server gives files at a public address, and has the
// toolkit of file-toolkits; optional). Arguments: words of which a case's name must have one.
// A line is {"name", "outcome", "note", "ms"}; outcome is works or failed. Exits 1 when a case failed.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Person } from './person.mjs';

// Read when a package is loaded: nothing may be sent or cached outside of this run.
const cache = mkdtempSync(join(tmpdir(), 'composio-cache-'));
Object.assign(process.env, { COMPOSIO_CACHE_DIR: cache, TELEMETRY_DISABLED: 'true', COMPOSIO_DISABLE_TELEMETRY: 'true' });
Object.assign(process.env, { MASTRA_TELEMETRY_DISABLED: '1', LANGSMITH_TRACING: 'false' });
process.on('exit', () => rmSync(cache, { recursive: true, force: true }));

const { Composio } = await import('@composio/core');
const { OpenAIProvider, OpenAIResponsesProvider } = await import('@composio/openai');
const { VercelProvider } = await import('@composio/vercel');
const { LangchainProvider } = await import('@composio/langchain');
const { MastraProvider } = await import('@composio/mastra');
const { default: OpenAI } = await import('openai');
const { generateText, stepCountIs, streamText } = await import('ai');
const { createOpenAI } = await import('@ai-sdk/openai');
const { createAgent } = await import('langchain');
const { ChatOpenAI } = await import('@langchain/openai');
const { Agent } = await import('@mastra/core/agent');

const [BASE, KEY, MODEL] = ['BASE_URL', 'KEY', 'MODEL_URL'].map(name => process.env[name].replace(/\/$/, ''));
const META_TOOLS = ['COMPOSIO_SEARCH_TOOLS', 'COMPOSIO_GET_TOOL_SCHEMAS', 'COMPOSIO_MANAGE_CONNECTIONS', 'COMPOSIO_MULTI_EXECUTE_TOOL'];
const SANDBOX = ['CREATE_NOTE', 'DELETE_NOTE', 'GET_PROFILE', 'GET_WORKSPACE_SUMMARY', 'LIST_NOTES', 'LIST_WORKSPACES']
  .map(it => `SANDBOX_${it}`);
// A list longer than this is refused by OpenAI.
const MOST_TOOLS = 128;
// More than any script takes.
const MOST_STEPS = 12;
const apiKey = 'sk-test';

// What becomes of the calls of one answer. An error of the API is an exception, which the model is told.
async function resultsOf(calls, handle, failed) {
  try {
    return await handle();
  } catch (error) {
    return calls.map(call => failed(call, error.message));
  }
}

// @composio/openai and the chat completions of `openai`.
class ChatCompletions {
  static package = '@composio/openai';
  static provider = () => new OpenAIProvider();
  messages = [{ role: 'system', content: 'You keep notes.' }];
  constructor({ composio, url, tools, target }) {
    Object.assign(this, { composio, tools, target, client: new OpenAI({ apiKey, baseURL: url }) });
  }
  async ask(content) {
    this.messages.push({ role: 'user', content });
    for (;;) {
      const answer = await this.client.chat.completions.create({ model: 'gpt-4o', messages: this.messages, tools: this.tools });
      const { message } = answer.choices[0];
      this.messages.push(message);
      if (!message.tool_calls?.length) return message.content;
      const handle = () => this.composio.provider.handleToolCalls(this.target, answer);
      const failed = (call, text) => ({ role: 'tool', tool_call_id: call.id, content: text });
      this.messages.push(...(await resultsOf(message.tool_calls, handle, failed)));
    }
  }
}

// @composio/openai and the responses of `openai`.
class Responses {
  static package = '@composio/openai responses';
  static provider = () => new OpenAIResponsesProvider();
  items = [];
  constructor({ composio, url, tools, target }) {
    Object.assign(this, { composio, tools, target, client: new OpenAI({ apiKey, baseURL: url }) });
  }
  async ask(content) {
    this.items.push({ role: 'user', content });
    for (;;) {
      const answer = await this.client.responses.create({ model: 'gpt-4o', input: this.items, tools: this.tools });
      this.items.push(...answer.output);
      const calls = answer.output.filter(it => it.type === 'function_call');
      if (!calls.length) return answer.output_text;
      this.items.push(...(await this.composio.provider.handleToolCalls(this.target, calls)));
    }
  }
}

// @composio/vercel and `generateText` of `ai`, through the API of OpenAI that `ai` prefers.
class Vercel {
  static package = '@composio/vercel';
  static withZod = true;
  static provider = () => new VercelProvider();
  static model = openai => openai('gpt-4o');
  messages = [];
  constructor({ url, tools }) {
    Object.assign(this, { tools, model: this.constructor.model(createOpenAI({ apiKey, baseURL: url })) });
  }
  async ask(content) {
    this.messages.push({ role: 'user', content });
    const { model, tools, messages } = this;
    const answer = await generateText({ model, tools, messages, stopWhen: stepCountIs(MOST_STEPS), maxRetries: 0 });
    this.messages.push(...answer.response.messages);
    return answer.text;
  }
}

// The same with `streamText` and chat completions.
class VercelStream extends Vercel {
  static package = '@composio/vercel stream';
  // Definitions are those of the other.
  static without = ['definitions of all tools'];
  static model = openai => openai.chat('gpt-4o');
  async ask(content) {
    this.messages.push({ role: 'user', content });
    const { model, tools, messages } = this;
    const failures = [];
    const onError = ({ error }) => failures.push(error);
    const answer = streamText({ model, tools, messages, stopWhen: stepCountIs(MOST_STEPS), maxRetries: 0, onError });
    await answer.consumeStream();
    if (failures.length) throw failures[0];
    this.messages.push(...(await answer.response).messages);
    return answer.text;
  }
}

// @composio/langchain and an agent of `langchain`.
class Langchain {
  static package = '@composio/langchain';
  static withZod = true;
  static provider = () => new LangchainProvider();
  messages = [];
  constructor({ url, tools }) {
    const model = new ChatOpenAI({ model: 'gpt-4o', apiKey, configuration: { baseURL: url }, maxRetries: 0 });
    this.agent = createAgent({ model, tools });
  }
  async ask(content) {
    this.messages.push({ role: 'user', content });
    this.messages = (await this.agent.invoke({ messages: this.messages })).messages;
    return this.messages.at(-1).content;
  }
}

// @composio/mastra and an agent of `@mastra/core`.
class Mastra {
  static package = '@composio/mastra';
  static provider = () => new MastraProvider();
  messages = [];
  constructor({ url, tools }) {
    const model = createOpenAI({ apiKey, baseURL: url }).chat('gpt-4o');
    this.agent = new Agent({ id: 'notes', name: 'notes', instructions: 'You keep notes.', model, tools, maxRetries: 0 });
  }
  async ask(content) {
    this.messages.push({ role: 'user', content });
    const answer = await this.agent.generate(this.messages, { maxSteps: MOST_STEPS });
    this.messages.push(...answer.response.messages);
    return answer.text;
  }
}

const FRAMEWORKS = [ChatCompletions, Responses, Vercel, VercelStream, Langchain, Mastra];

let users = 0;
function start(framework, more = {}) {
  const options = { apiKey: KEY, baseURL: BASE, allowTracking: false, disableVersionCheck: true, ...more };
  const composio = new Composio({ provider: framework.provider(), ...options });
  return { composio, user: `${framework.name}-js-${process.pid}-${++users}` };
}
// A base URL of the model, and where it keeps the record of this run.
function model(script, framework, word = 'run') {
  const origin = `${MODEL}/${script}/js-${framework.name}-${word}-${process.pid}`;
  return [`${origin}/v1`, origin];
}
const record = async url => (await fetch(url)).json();
const newSession = (composio, user) => composio.create(user, { toolkits: ['sandbox'], preload: { tools: SANDBOX } });
const connect = async session => new Person().follow((await session.authorize('sandbox')).redirectUrl);
const says = (answer, words) => assert.ok(typeof answer === 'string' && answer.includes(words), `it said: ${answer}`);

const cases = {
  // The tools of a session: create, list, delete, and a call that fails.
  async 'notes of a session'(framework) {
    const { composio, user } = start(framework);
    const session = await newSession(composio, user);
    await connect(session);
    const [url, kept] = model('notes', framework, 'session');
    const agent = new framework({ composio, url, tools: await session.tools(), target: session });
    says(await agent.ask('Keep a note for a moment.'), 'created and deleted note_');
    const found = await record(kept);
    assert.deepEqual([found.requests, found.tools.toSorted()], [6, [...META_TOOLS, ...SANDBOX].toSorted()]);
  },

  // The same with `tools.get`, for a user who has connected.
  async 'notes without a session'(framework) {
    const { composio, user } = start(framework);
    await connect(await newSession(composio, user));
    const [url, kept] = model('notes', framework, 'direct');
    const tools = await composio.tools.get(user, { toolkits: ['sandbox'] });
    const agent = new framework({ composio, url, tools, target: user });
    says(await agent.ask('Keep a note for a moment.'), 'created and deleted note_');
    assert.equal((await record(kept)).requests, 6);
  },

  // Nothing is connected: the model gets a link for the user, and lists the notes afterwards.
  async 'a link for the user'(framework) {
    const { composio, user } = start(framework);
    const session = await newSession(composio, user);
    const [url, kept] = model('link', framework);
    const agent = new framework({ composio, url, tools: await session.tools(), target: session });
    const answer = await agent.ask('List my notes.');
    says(answer, 'Please open ');
    await new Person().follow(answer.replace('Please open ', ''));
    says(await agent.ask('I have connected. Go on.'), ' notes');
    assert.equal((await record(kept)).requests, 4);
  },

  // `tools.get` for a user who has not connected.
  async 'no account without a session'(framework) {
    const { composio, user } = start(framework);
    const [url] = model('no_account', framework);
    const tools = await composio.tools.get(user, { toolkits: ['sandbox'] });
    const agent = new framework({ composio, url, tools, target: user });
    says(await agent.ask('List my notes.'), 'Please connect');
  },

  // The model misspells an argument, is told so, and corrects itself.
  async 'a wrong argument'(framework) {
    const { composio, user } = start(framework);
    const session = await newSession(composio, user);
    await connect(session);
    const [url] = model('wrong_argument', framework);
    const agent = new framework({ composio, url, tools: await session.tools(), target: session });
    says(await agent.ask('Keep a note.'), 'corrected');
  },

  // Every tool of every toolkit, wrapped by the package and accepted by the vendor's rules.
  async 'definitions of all tools'(framework) {
    const { composio, user } = start(framework);
    const listed = (await composio.toolkits.get({ limit: 1000 })).filter(it => it.meta.toolsCount);
    const query = { toolkits: listed.map(it => it.slug), limit: 9999 };
    const unions = await withUnions(composio, query);
    const found = await composio.tools.get(user, query);
    const all = Object.entries(found);
    assert.ok(all.length > 700, `${all.length} tools of ${listed.length} toolkits`);
    const offer = async tools => {
      const [url] = model('definitions', framework);
      const given = Array.isArray(found) ? tools.map(([, tool]) => tool) : Object.fromEntries(tools);
      const agent = new framework({ composio, url, tools: given, target: user });
      says(await agent.ask('What can you do?'), `${tools.length} tools`);
    };
    const broken = framework.withZod ? all.filter(([key, tool]) => unions.has(tool.name ?? key)) : [];
    const sound = all.filter(it => !broken.includes(it));
    for (let first = 0; first < sound.length; first += MOST_TOOLS) await offer(sound.slice(first, first + MOST_TOOLS));
    // What the SDK makes of these loses the type of the root, which OpenAI refuses. When a new version does not, this
    // fails, and the note in docs/compatibility.md goes.
    for (const one of broken) await assert.rejects(offer([one]), /the root is no object/);
  },
};

// The slugs of the tools that take values of one type or another somewhere.
async function withUnions(composio, query) {
  const raw = await composio.tools.getRawComposioTools(query);
  const found = raw.filter(it => JSON.stringify(it.inputParameters).includes('"anyOf":')).map(it => it.slug);
  assert.ok(found.length, 'no tool has anyOf any more');
  return new Set(found);
}

// The bytes at a path or URL.
const contentAt = async place =>
  place.startsWith('https://') ? (await fetch(place)).text() : readFileSync(place, 'utf8');

const fileCases = {
  // The SDK sends the file at a path that the model names, and fetches the one that a tool returns.
  async 'files without a session'(framework) {
    const folder = mkdtempSync(join(cache, 'agent-files-'));
    const options = { dangerouslyAllowAutoUploadDownloadFiles: true, fileUploadDirs: [folder], fileDownloadDir: cache };
    const { composio, user } = start(framework, options);
    const [path, content] = [join(folder, 'report.txt'), `the report of ${framework.package}`];
    writeFileSync(path, content);
    const [url, kept] = model('files', framework, 'direct');
    const tools = await composio.tools.get(user, { toolkits: ['drive'] });
    const answer = await new framework({ composio, url, tools, target: user }).ask(`Save the file ${path}`);
    says(answer, 'It is at ');
    const where = answer.replace('It is at ', '');
    assert.notEqual(where, path);
    assert.equal(await contentAt(where), content);
    assert.equal((await record(kept)).requests, 3);
  },

  // A file of the session's mount as an argument; the result says where the returned one can be fetched.
  async 'files of a session'(framework) {
    const { composio, user } = start(framework);
    const tools = ['DRIVE_SAVE_FILE', 'DRIVE_FETCH_FILE'];
    const session = await composio.create(user, { toolkits: ['drive'], preload: { tools } });
    const path = join(mkdtempSync(join(cache, 'session-files-')), 'report.txt');
    const content = `the session's report of ${framework.package}`;
    writeFileSync(path, content);
    await session.experimental.files.upload(path, { remotePath: 'out/report.txt', mimetype: 'text/plain' });
    const [url] = model('files', framework, 'session');
    const agent = new framework({ composio, url, tools: await session.tools(), target: session });
    const answer = await agent.ask('Save the file /mnt/files/out/report.txt');
    says(answer, 'It is at https://');
    assert.equal(await contentAt(answer.replace('It is at ', '')), content);
  },
};

let failures = 0;
const chosen = process.argv.slice(2);
for (const framework of FRAMEWORKS) {
  for (const [title, run] of Object.entries(process.env.PUBLIC_FILES ? fileCases : cases)) {
    const name = `${framework.package}: ${title}`;
    if (framework.without?.includes(title)) continue;
    if (chosen.length && !chosen.some(word => name.includes(word))) continue;
    const started = Date.now();
    let [outcome, note] = ['works', ''];
    try {
      await run(framework);
    } catch (error) {
      failures += 1;
      [outcome, note] = ['failed', `${error.name}: ${error.message}`.slice(0, 900)];
      if (process.env.TRACE) console.error(error);
    }
    console.log(JSON.stringify({ name, outcome, note, ms: Date.now() - started }));
  }
}
process.exit(failures ? 1 : 0);
