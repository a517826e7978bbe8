// Every method of @composio/core and its client, unmodified, against a server; one JSON line per case.
//
// Environment: SDK_DIR (where `npm ci` ran for node-current or node-stable), BASE_URL (origin of the server), KEY
// (project API key), RECORDER (where the requests of a case are counted; optional), ORG_KEY and USER_KEY (keys of an
// organisation and of a person; optional), PUBLIC_FILES (the server gives files at a public address), LINE (a word of the
// SDK line). Arguments: words of which a case's name must
// have one. The server needs the toolkits `sandbox` and tests/sdk/toolkits.
// A line is {"name", "methods", "operations", "outcome", "note", "ms"}; outcome is works, 501, absent or failed.
// Exits 1 when a case failed.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Person } from './person.mjs';
import { Absent, fails, methodsOf, notBuilt, run, status, test, watch, words } from './suite.mjs';

// Read when the SDK is loaded: nothing may be sent or cached outside of this run.
process.env.TELEMETRY_DISABLED = process.env.COMPOSIO_DISABLE_TELEMETRY = 'true';
const cache = (process.env.COMPOSIO_CACHE_DIR = mkdtempSync(join(tmpdir(), 'composio-cache-')));
process.on('exit', () => rmSync(cache, { recursive: true, force: true }));

const { KEY, ORG_KEY, USER_KEY, LINE = 'node', PUBLIC_FILES } = process.env;
const BASE = process.env.BASE_URL.replace(/\/$/, '');
const installed = createRequire(resolve(process.env.SDK_DIR, 'package.json'));
const core = await import(pathToFileURL(installed.resolve('@composio/core')));
const beside = createRequire(installed.resolve('@composio/core'));
const { Composio: Client } = await import(pathToFileURL(beside.resolve('@composio/client')));

const withKey = apiKey => new core.Composio({ apiKey, baseURL: BASE, allowTracking: false, disableVersionCheck: true });
const plain = withKey(KEY);
const composio = watch(plain, '');
const plainClient = apiKey => new Client({ apiKey, baseURL: BASE });
const lowLevel = apiKey => watch(plainClient(apiKey), 'client.');
const client = lowLevel(KEY);

let numbers = 0;
// A user id that no other case has.
const newUser = () => `${LINE}-${++numbers}`;
const newSession = (options = {}) => composio.create(newUser(), { toolkits: ['sandbox'], ...options });
const done = 'https://app.example/done';

// A session and an account that its user has connected at the sandbox, by OAuth.
async function connected(user = newUser()) {
  const session = await composio.create(user, { toolkits: ['sandbox'] });
  const request = await session.authorize('sandbox');
  await new Person().follow(request.redirectUrl);
  return { user, session, account: request.id };
}

// The id of the managed auth config of the sandbox.
async function managed() {
  const configs = (await composio.authConfigs.list({ toolkit: 'sandbox' })).items;
  const found = configs.find(it => it.isComposioManaged && it.status === 'ENABLED');
  return (found ?? (await composio.authConfigs.create('sandbox'))).id;
}

// A new auth config for API keys; its id.
async function keyedConfig(name = 'keyed') {
  const made = await composio.authConfigs.create('keyed', { type: 'use_custom_auth', authScheme: 'API_KEY', name, credentials: {} });
  return made.id;
}

const keyState = (key = 'key-number-one') => ({ authScheme: 'API_KEY', val: { status: 'ACTIVE', generic_api_key: key } });

// An account with an API key; its id.
async function keyedAccount({ user = newUser(), config, ...more } = {}) {
  const options = { config: keyState(), allowMultiple: true, ...more };
  return (await composio.connectedAccounts.initiate(user, config ?? (await keyedConfig()), options)).id;
}

const includes = (error, ...texts) => texts.forEach(text => assert.ok(words(error).includes(text), `${text} is not in: ${words(error)}`));
function isError(error, name, ...texts) {
  assert.ok(name.includes(error.name), `${error.name}, wanted ${name}: ${words(error)}`);
  includes(error, ...texts);
}
const hasStatus = (error, ...wanted) => assert.ok(wanted.includes(status(error)), `${status(error)}: ${words(error)}`);
const slugs = page => page.items.map(it => it.slug);
const ids = page => page.items.map(it => it.id);

// ── Sessions ────────────────────────────────────────────────────────────────────────────────────

test('composio.create', async () => {
  const session = await composio.create(newUser(), { toolkits: ['sandbox', 'keyed'] });
  assert.match(session.sessionId, /^trs_/);
});

test('composio.create with every option', 'composio.create', async () => {
  const user = newUser();
  const config = await managed();
  const account = await keyedAccount({ user });
  const session = await composio.create(user, {
    toolkits: { enable: ['sandbox', 'keyed'] },
    tools: { sandbox: { enable: ['SANDBOX_LIST_NOTES'] } },
    tags: { enable: ['readOnlyHint'], disable: ['destructiveHint'] },
    manageConnections: { enable: true, callbackUrl: done },
    authConfigs: { sandbox: config },
    connectedAccounts: { keyed: account },
    multiAccount: { enable: true },
    preload: { tools: [] },
  });
  assert.match(session.sessionId, /^trs_/);
});

test('composio.create with mcp', 'composio.create', async () => {
  const session = await composio.create(newUser(), { toolkits: ['sandbox'], mcp: true });
  assert.ok(session.mcp.url.startsWith(BASE) && session.mcp.url.includes(session.sessionId), session.mcp.url);
  assert.ok(Object.keys(session.mcp.headers).some(it => it.toLowerCase() === 'x-api-key'));
});

test('composio.create with the preset direct_tools', 'composio.create', async () => {
  assert.match((await newSession({ sessionPreset: 'direct_tools' })).sessionId, /^trs_/);
});

test('composio.create without some toolkits', 'composio.create', async () => {
  const session = await composio.create(newUser(), { toolkits: { disable: ['keyed'] } });
  const named = async (search) => slugs(await session.toolkits({ search }));
  assert.ok((await named('sandbox')).includes('sandbox'));
  assert.deepEqual(await named('keyed'), []);
});

test('composio.create of an unknown toolkit', 'composio.create', async () => {
  const error = await fails(() => composio.create(newUser(), { toolkits: ['nosuchtoolkit'] }));
  hasStatus(error, 400);
  includes(error, 'nosuchtoolkit');
});

test('composio.create with a wrong key', 'composio.create', async () => {
  hasStatus(await fails(() => withKey('ak_wrong').create('somebody', {})), 401);
});

test('composio.use', async () => {
  const { sessionId } = await newSession();
  assert.equal((await composio.use(sessionId)).sessionId, sessionId);
});

test('composio.use with custom tools', 'composio.use', async () => {
  const { sessionId } = await newSession();
  const zod = await import(pathToFileURL(beside.resolve('zod')));
  const z = zod.z ?? zod.default;
  const greet = core.experimental_createTool('GREET', {
    name: 'Greet',
    description: 'Greets somebody',
    inputParams: z.object({ name: z.string().describe('Whom to greet') }),
    execute: async ({ name }) => ({ greeting: `hello ${name}` }),
  });
  const used = await composio.use(sessionId, { experimental: { customTools: [greet] }, customTools: [greet] });
  assert.equal(used.sessionId, sessionId);
});

test('composio.use of an unknown session', 'composio.use', async () => {
  hasStatus(await fails(() => composio.use('trs_doesnotexist')), 404);
});

test('sessions.create', async () => assert.match((await composio.sessions.create(newUser(), {})).sessionId, /^trs_/));

test('sessions.use', async () => {
  const { sessionId } = await newSession();
  assert.equal((await composio.sessions.use(sessionId)).sessionId, sessionId);
});

test('sessions.delete', async () => {
  const { sessionId } = await newSession();
  assert.equal((await composio.sessions.delete(sessionId)).deleted, true);
  hasStatus(await fails(() => composio.sessions.delete(sessionId)), 404);
});

test('session.delete', async () => {
  const session = await newSession();
  const answer = await session.delete();
  assert.equal(answer.deleted, true);
  hasStatus(await fails(() => session.authorize('sandbox')), 404);
});

test('session.authorize', async () => {
  const session = await newSession();
  const request = await session.authorize('sandbox', { callbackUrl: `${done}?x=1`, alias: 'work' });
  assert.match(request.id, /^ca_/);
  const landed = await new Person().follow(request.redirectUrl);
  assert.equal(landed.hostname, 'app.example');
  assert.equal(landed.searchParams.get('x'), '1');
  assert.equal(landed.searchParams.get('status'), 'success');
  const account = await composio.connectedAccounts.get(request.id);
  assert.deepEqual([account.status, account.alias], ['ACTIVE', 'work']);
});

test('session.authorize with an alias that is taken', 'session.authorize', async () => {
  const session = await newSession();
  await new Person().follow((await session.authorize('sandbox', { alias: 'work' })).redirectUrl);
  const error = await fails(() => session.authorize('sandbox', { alias: 'work' }));
  hasStatus(error, 400);
  includes(error, 'work');
});

test('session.authorize of a toolkit outside of the session', 'session.authorize', async () => {
  const session = await newSession();
  const error = await fails(() => session.authorize('keyed'));
  hasStatus(error, 400, 403);
  includes(error, 'keyed');
});

test('session.authorize for a SHARED account', 'session.authorize', async () => {
  const session = await newSession();
  const shared = { accountType: 'SHARED', aclConfigForShared: { allowAllUsers: true } };
  const request = await session.authorize('sandbox', { experimental: shared });
  await new Person().follow(request.redirectUrl);
  const list = query => composio.connectedAccounts.list({ toolkitSlugs: ['sandbox'], ...query });
  assert.ok(!ids(await list({})).includes(request.id));
  assert.ok(ids(await list({ accountType: 'SHARED' })).includes(request.id));
});

test('session.authorize with an access list for a PRIVATE account', 'session.authorize', async () => {
  const session = await newSession();
  const error = await fails(() =>
    session.authorize('sandbox', { experimental: { accountType: 'PRIVATE', aclConfigForShared: { allowAllUsers: true } } })
  );
  isError(error, 'ComposioAclOnlyForSharedError');
});

test('connection_request.waitForConnection', async () => {
  const request = await (await newSession()).authorize('sandbox');
  await new Person().follow(request.redirectUrl);
  const account = await request.waitForConnection(10000);
  assert.deepEqual([account.id, account.status, account.toolkit.slug], [request.id, 'ACTIVE', 'sandbox']);
});

test('connection_request.waitForConnection that is refused', 'connection_request.waitForConnection', async () => {
  const request = await (await newSession()).authorize('sandbox');
  await new Person().refuse(request.redirectUrl);
  isError(await fails(() => request.waitForConnection(10000)), 'ConnectionRequestFailedError');
});

test('connection_request.waitForConnection that nobody opens', 'connection_request.waitForConnection', async () => {
  const request = await (await newSession()).authorize('sandbox');
  isError(await fails(() => request.waitForConnection(500)), 'ConnectionRequestTimeoutError');
});

test('session.ensureConnected', async () => {
  const { session } = await connected();
  const answer = await session.ensureConnected('sandbox', { timeout: 5000 });
  assert.equal(answer.wasConnected, true);
  assert.equal(answer.connectedAccount.status, 'ACTIVE');
});

test('session.toolkits', async () => {
  const session = await composio.create(newUser(), { toolkits: ['sandbox', 'keyed'] });
  const page = await session.toolkits();
  assert.deepEqual(slugs(page).sort(), ['keyed', 'sandbox']);
  assert.ok(!page.items.some(it => it.connection?.isActive));
  await new Person().follow((await session.authorize('sandbox')).redirectUrl);
  const [found] = (await session.toolkits({ toolkits: ['sandbox'] })).items;
  assert.ok(found.connection.isActive && found.connection.connectedAccount.status === 'ACTIVE', JSON.stringify(found));
  assert.deepEqual(slugs(await session.toolkits({ isConnected: true })), ['sandbox']);
  assert.deepEqual(slugs(await session.toolkits({ search: 'keye' })), ['keyed']);
});

test('session.toolkits page by page', 'session.toolkits', async () => {
  const session = await composio.create(newUser(), { toolkits: ['sandbox', 'keyed'] });
  const first = await session.toolkits({ limit: 1 });
  const second = await session.toolkits({ limit: 1, cursor: first.cursor });
  assert.deepEqual([...slugs(first), ...slugs(second)].sort(), ['keyed', 'sandbox']);
});

test('session.update', async () => {
  const session = await newSession();
  await session.update({ toolkits: { enable: ['sandbox', 'keyed'] }, manageConnections: { enable: false } });
  assert.deepEqual([...session.config.toolkits.enabled].sort(), ['keyed', 'sandbox']);
  const again = await composio.use(session.sessionId);
  assert.deepEqual(slugs(await again.toolkits()).sort(), ['keyed', 'sandbox']);
});

test('session.update that removes', 'session.update', async () => {
  const session = await newSession({ multiAccount: { enable: true } });
  await session.update({ toolkits: ['keyed'], multiAccount: null });
  assert.deepEqual(session.config.toolkits.enabled, ['keyed']);
});

test('session.update conflict', 'session.update', async () => {
  const session = await newSession();
  if (session.configVersion === undefined || !session.listConfigHistory) throw new Absent('no expectedConfigVersion');
  const version = session.configVersion;
  await session.update({ toolkits: ['sandbox', 'keyed'], expectedConfigVersion: version });
  assert.equal(session.configVersion, version + 1);
  const error = await fails(() => session.update({ tags: ['readOnlyHint'], expectedConfigVersion: version }));
  isError(error, 'ComposioSessionConfigConflictError');
});

test('session.update with an unknown toolkit', 'session.update', async () => {
  const session = await newSession();
  const error = await fails(() => session.update({ toolkits: ['nosuch'] }));
  hasStatus(error, 400);
  includes(error, 'nosuch');
});

test('session.listConfigHistory', async () => {
  const session = await newSession();
  await session.update({ toolkits: ['keyed'] });
  await session.update({ toolkits: ['sandbox', 'keyed'] });
  const page = await session.listConfigHistory({ limit: 2 });
  assert.deepEqual(page.items.map(it => it.isCurrent), [true, false]);
  const last = await session.listConfigHistory({ limit: 2, cursor: page.nextCursor });
  assert.deepEqual([last.items.length, last.nextCursor], [1, null]);
});

test('session.proxyExecute', async () => {
  const { session } = await connected();
  const parameters = [{ name: 'accept', value: 'application/json', in: 'header' }];
  const answer = await session.proxyExecute({ toolkit: 'sandbox', endpoint: '/me', method: 'GET', parameters });
  assert.deepEqual([answer.status, answer.data.username], [200, 'alice']);
});

test('session.proxyExecute with the account that the session names', 'session.proxyExecute', async () => {
  const user = newUser();
  let account;
  for (const name of ['alice', 'bob']) {
    const request = await (await composio.create(user, { toolkits: ['sandbox'] })).authorize('sandbox', { alias: name });
    await new Person(name).follow(request.redirectUrl);
    account = request.id;
  }
  const session = await composio.create(user, { toolkits: ['sandbox'], connectedAccounts: { sandbox: [account] } });
  const answer = await session.proxyExecute({ toolkit: 'sandbox', endpoint: '/me', method: 'GET' });
  assert.equal(answer.data.username, 'bob');
});

test('session.proxyExecute with a SHARED account of somebody else', 'session.proxyExecute', async () => {
  const [guest, stranger] = [newUser(), newUser()];
  const experimental = { accountType: 'SHARED', aclConfigForShared: { allowedUserIds: [guest] } };
  const request = await (await newSession()).authorize('sandbox', { experimental });
  await new Person().follow(request.redirectUrl);
  const call = async user => {
    const session = await composio.create(user, { toolkits: ['sandbox'], connectedAccounts: { sandbox: [request.id] } });
    return session.proxyExecute({ toolkit: 'sandbox', endpoint: '/me', method: 'GET' });
  };
  assert.equal((await call(guest)).data.username, 'alice');
  hasStatus(await fails(() => call(stranger)), 400, 403, 404);
});

test('session.proxyExecute without an account', 'session.proxyExecute', async () => {
  const session = await newSession();
  const error = await fails(() => session.proxyExecute({ toolkit: 'sandbox', endpoint: '/me', method: 'GET' }));
  assert.ok(status(error) >= 400 && status(error) < 500, words(error));
});

test('session.search', async () => {
  const found = await (await newSession()).search({ query: 'list my notes', toolkits: ['sandbox'] });
  assert.ok(found.success && found.error === null, JSON.stringify(found));
  assert.equal(found.results[0].primaryToolSlugs[0], 'SANDBOX_LIST_NOTES');
  assert.equal(found.toolSchemas.SANDBOX_LIST_NOTES.inputSchema.type, 'object');
  assert.deepEqual(found.toolkitConnectionStatuses.map(it => [it.toolkit, it.hasActiveConnection]), [['sandbox', false]]);
  const { session } = await connected();
  const { toolkitConnectionStatuses } = await session.search({ query: 'list my notes' });
  assert.ok(toolkitConnectionStatuses.some(it => it.toolkit === 'sandbox' && it.hasActiveConnection));
});

test('session.search that finds nothing', 'session.search', async () => {
  const found = await (await newSession()).search({ query: 'xylophone zzyzx' });
  assert.ok(!found.success && found.results[0].error.startsWith('No tool fits.'), JSON.stringify(found));
});

const META_TOOLS = ['COMPOSIO_SEARCH_TOOLS', 'COMPOSIO_GET_TOOL_SCHEMAS', 'COMPOSIO_MANAGE_CONNECTIONS', 'COMPOSIO_MULTI_EXECUTE_TOOL'];

test('session.tools', async () => {
  assert.deepEqual((await (await newSession()).tools()).map(it => it.function.name), META_TOOLS);
  const preload = { tools: ['SANDBOX_LIST_NOTES', 'SANDBOX_CREATE_NOTE'] };
  const session = await composio.create(newUser(), { toolkits: ['sandbox'], preload });
  const names = (await session.tools()).map(it => it.function.name).sort();
  assert.deepEqual(names, [...META_TOOLS, 'SANDBOX_CREATE_NOTE', 'SANDBOX_LIST_NOTES'].sort());
});

test('session.execute', async () => {
  const { session } = await connected();
  const made = await session.execute('SANDBOX_CREATE_NOTE', { text: 'from TypeScript' });
  assert.equal(made.error, null);
  assert.equal(made.data.text, 'from TypeScript');
  const listed = await session.execute('SANDBOX_LIST_NOTES', {});
  assert.ok(listed.data.notes.some(it => it.id === made.data.id));
  assert.match((await session.execute('SANDBOX_DELETE_NOTE', { note_id: 'note_999999' })).error, /404/);
});

test('session.execute without an account', 'session.execute', async () => {
  const needed = await (await newSession()).execute('SANDBOX_LIST_NOTES', {});
  assert.match(needed.error, /\/link\/lt_/);
});

// ── Files ──────────────────────────────────────────────────────────────────────────────────────
// The SDK sends and fetches the bytes of files at public addresses only. Where the server has none (PUBLIC_FILES is not
// set), these cases see that refusal, and move the bytes themselves.

async function put(url, content) {
  const answer = await fetch(url, { method: 'PUT', body: content, headers: { 'content-type': 'text/plain' } });
  assert.equal(answer.status, 200);
}

const fetched = async url => (await fetch(url)).text();

// A session that keeps `out/a.txt`.
async function sessionWithFile() {
  const session = await newSession();
  const body = { session_id: session.sessionId, mount_relative_path: 'out/a.txt', mimetype: 'text/plain' };
  const made = await client.toolRouter.session.files.createUploadURL('files', body);
  assert.equal(made.mount_relative_path, 'out/a.txt');
  await put(made.upload_url, 'text');
  return session;
}

const isBlocked = error => assert.match(words(error), /block|internal|private|upload/i);

test('session.experimental.files.list', async () => {
  assert.deepEqual((await (await newSession()).experimental.files.list()).items, []);
  const page = await (await sessionWithFile()).experimental.files.list({ path: '/', limit: 10 });
  assert.deepEqual(page.items.map(it => [it.mountRelativePath, it.size]), [['out/a.txt', 4]]);
  assert.equal(page.nextCursor, undefined);
});

test('session.experimental.files.download', async () => {
  const session = await sessionWithFile();
  const file = await session.experimental.files.download('/out/a.txt');
  assert.equal(file.filename, 'a.txt');
  if (PUBLIC_FILES) {
    assert.equal(await file.text(), 'text');
  } else {
    isBlocked(await fails(() => file.buffer()));
    assert.equal(await fetched(file.downloadUrl), 'text');
  }
  hasStatus(await fails(() => session.experimental.files.download('none.txt')), 404);
});

test('session.experimental.files.delete', async () => {
  const session = await sessionWithFile();
  assert.equal((await session.experimental.files.delete('/out/a.txt')).mountRelativePath, 'out/a.txt');
  assert.deepEqual((await session.experimental.files.list()).items, []);
  hasStatus(await fails(() => session.experimental.files.delete('../a.txt')), 400);
});

test('session.experimental.files.upload', async () => {
  const session = await newSession();
  writeFileSync(join(cache, 'a.txt'), 'text');
  const upload = () => session.experimental.files.upload(join(cache, 'a.txt'), { remotePath: 'out/b.txt' });
  if (!PUBLIC_FILES) return isBlocked(await fails(upload));
  const file = await upload();
  assert.equal(file.mountRelativePath, 'out/b.txt');
  assert.equal(await file.text(), 'text');
});

test('files.upload', async () => {
  const given = { file: new File(['text'], 'a.txt'), toolSlug: 'SANDBOX_LIST_NOTES', toolkitSlug: 'sandbox' };
  if (!PUBLIC_FILES) return isBlocked(await fails(() => composio.files.upload(given)));
  assert.match((await composio.files.upload(given)).s3key, /^file_/);
});

test('client.files.createPresignedURL', async () => {
  const md5 = createHash('md5').update('text').digest('hex');
  const body = { toolkit_slug: 'sandbox', tool_slug: 'SANDBOX_LIST_NOTES', filename: 'a.txt', mimetype: 'text/plain', md5 };
  const made = await client.files.createPresignedURL(body);
  assert.ok(made.key.startsWith(made.id) && made.type === 'new', JSON.stringify(made));
  await put(made.new_presigned_url, 'text');
});

test('client.files.list', async () => {
  const page = await client.files.list({ toolkit_slug: 'sandbox', limit: 1 });
  assert.equal(page.current_page, 1);
});

test('client.toolRouter.session.files.createUploadURL', async () => {
  await sessionWithFile();
});

test('client.toolRouter.session.files.createDownloadURL', async () => {
  const session_id = (await sessionWithFile()).sessionId;
  const body = { session_id, mount_relative_path: 'out/a.txt' };
  const answer = await client.toolRouter.session.files.createDownloadURL('files', body);
  assert.equal(await fetched(answer.download_url), 'text');
});

test('client.toolRouter.session.files.list', async () => {
  const session_id = (await sessionWithFile()).sessionId;
  const page = await client.toolRouter.session.files.list('files', { session_id, mount_relative_prefix: 'out/', limit: 1 });
  assert.deepEqual(page.items.map(it => it.mount_relative_path), ['out/a.txt']);
});

test('client.toolRouter.session.files.delete', async () => {
  const session_id = (await sessionWithFile()).sessionId;
  const deleted = await client.toolRouter.session.files.delete('files', { session_id, mount_relative_path: 'out' });
  assert.equal(deleted.sandbox_mount_prefix, '/mnt/files');
});

// ── Connected accounts ──────────────────────────────────────────────────────────────────────────

test('connectedAccounts.get', async () => {
  const { account } = await connected();
  const got = await composio.connectedAccounts.get(account);
  assert.deepEqual([got.id, got.status, got.toolkit.slug], [account, 'ACTIVE', 'sandbox']);
  assert.equal(got.authConfig.isComposioManaged, true);
  assert.equal(got.state.authScheme, 'OAUTH2');
  assert.equal(got.state.val.access_token, 'REDACTED');
});

test('connectedAccounts.get of an unknown account', 'connectedAccounts.get', async () => {
  const error = await fails(() => composio.connectedAccounts.get('ca_doesnotexist'));
  hasStatus(error, 404);
  includes(error, 'ca_doesnotexist');
});

test('connectedAccounts.list', async () => {
  const user = newUser();
  const config = await keyedConfig();
  const mine = [];
  for (let n = 0; n < 3; n++) mine.push(await keyedAccount({ user, config }));
  const other = await keyedAccount({ config });
  const list = async query => ids(await composio.connectedAccounts.list(query)).sort();
  assert.deepEqual(await list({ userIds: [user], statuses: ['ACTIVE'], toolkitSlugs: ['keyed', 'sandbox'] }), [...mine].sort());
  assert.deepEqual(await list({ authConfigIds: [config] }), [...mine, other].sort());
  assert.deepEqual(await list({ userIds: [user], statuses: ['FAILED', 'EXPIRED'] }), []);
  assert.deepEqual(await list({ userIds: ['nobody'], orderBy: 'updated_at' }), []);
});

test('connectedAccounts.list page by page', 'connectedAccounts.list', async () => {
  const user = newUser();
  const config = await keyedConfig();
  const mine = [];
  for (let n = 0; n < 3; n++) mine.push(await keyedAccount({ user, config }));
  const found = [];
  let cursor;
  for (let n = 0; n < 3; n++) {
    const page = await composio.connectedAccounts.list({ userIds: [user], limit: 1, ...(cursor && { cursor }) });
    found.push(...ids(page));
    cursor = page.nextCursor;
  }
  assert.deepEqual([found.sort(), cursor ?? null], [mine.sort(), null]);
});

test("connectedAccounts.list with a cursor of nobody's", 'connectedAccounts.list', async () => {
  hasStatus(await fails(() => composio.connectedAccounts.list({ cursor: 'not-a-cursor' })), 400);
});

test('connectedAccounts.link', async () => {
  const user = newUser();
  const config = await managed();
  const request = await composio.connectedAccounts.link(user, config, { callbackUrl: done, alias: 'home' });
  const landed = await new Person().follow(request.redirectUrl);
  assert.equal(landed.searchParams.get('status'), 'success');
  const account = await request.waitForConnection(10000);
  assert.deepEqual([account.alias, account.authConfig.id], ['home', config]);
});

test('connectedAccounts.link a second time', 'connectedAccounts.link', async () => {
  const { user, account } = await connected();
  const config = (await composio.connectedAccounts.get(account)).authConfig.id;
  isError(await fails(() => composio.connectedAccounts.link(user, config)), 'ComposioMultipleConnectedAccountsError');
  assert.ok((await composio.connectedAccounts.link(user, config, { allowMultiple: true })).redirectUrl);
});

test('connectedAccounts.link with an access list for a PRIVATE account', 'connectedAccounts.link', async () => {
  const config = await managed();
  const experimental = { accountType: 'PRIVATE', aclConfigForShared: { allowAllUsers: true } };
  const error = await fails(() => composio.connectedAccounts.link(newUser(), config, { experimental }));
  isError(error, 'ComposioAclOnlyForSharedError');
});

test('connectedAccounts.link with an unknown auth config', 'connectedAccounts.link', async () => {
  const error = await fails(() => composio.connectedAccounts.link(newUser(), 'ac_doesnotexist'));
  hasStatus(error, 400, 404);
  includes(error, 'ac_doesnotexist');
});

test('connectedAccounts.initiate', async () => {
  const user = newUser();
  const config = await managed();
  const request = await composio.connectedAccounts.initiate(user, config, { callbackUrl: done });
  assert.match(request.status, /^INITIA/);
  await new Person().follow(request.redirectUrl);
  assert.equal((await request.waitForConnection(10000)).status, 'ACTIVE');
});

test('connectedAccounts.initiate with an API key', 'connectedAccounts.initiate', async () => {
  const user = newUser();
  const config = await keyedConfig();
  const state = core.AuthScheme.APIKey({ generic_api_key: 'key-number-one' });
  const request = await composio.connectedAccounts.initiate(user, config, { config: state, alias: 'mine' });
  const account = await request.waitForConnection(5000);
  assert.deepEqual([account.status, account.alias, account.state.authScheme], ['ACTIVE', 'mine', 'API_KEY']);
});

test('connectedAccounts.initiate without the key', 'connectedAccounts.initiate', async () => {
  const config = await keyedConfig();
  const state = { authScheme: 'API_KEY', val: { status: 'ACTIVE' } };
  const error = await fails(() => composio.connectedAccounts.initiate(newUser(), config, { config: state }));
  hasStatus(error, 400);
  includes(error, 'Missing required fields: API key');
});

test('connectedAccounts.waitForConnection', async () => {
  const { account } = await connected();
  assert.equal((await composio.connectedAccounts.waitForConnection(account, 5000)).id, account);
});

test('connectedAccounts.waitForConnection of an unknown account', 'connectedAccounts.waitForConnection', async () => {
  const error = await fails(() => composio.connectedAccounts.waitForConnection('ca_doesnotexist', 1000));
  isError(error, 'ComposioConnectedAccountNotFoundError');
});

test('connectedAccounts.update', async () => {
  const account = await keyedAccount();
  assert.equal((await composio.connectedAccounts.update(account, { enabled: false })).success, true);
  assert.equal((await composio.connectedAccounts.get(account)).status, 'INACTIVE');
});

test('connectedAccounts.updateAcl', async () => {
  const config = await managed();
  const experimental = { accountType: 'SHARED', aclConfigForShared: { allowedUserIds: ['ann'] } };
  const account = (await composio.connectedAccounts.link(newUser(), config, { experimental })).id;
  const answer = await composio.connectedAccounts.updateAcl(account, { allowAllUsers: true, notAllowedUserIds: ['bob'] });
  assert.equal(answer.success, true);
  const shown = JSON.stringify(await client.connectedAccounts.retrieve(account));
  assert.ok(shown.includes('bob') && shown.includes('ann'), shown);
});

test('connectedAccounts.updateAcl of a PRIVATE account', 'connectedAccounts.updateAcl', async () => {
  const account = await keyedAccount();
  isError(await fails(() => composio.connectedAccounts.updateAcl(account, { allowAllUsers: true })), 'ComposioAclOnlyForSharedError');
});

test('experimental.updateAcl', async () => {
  const config = await managed();
  const account = (await composio.connectedAccounts.link(newUser(), config, { experimental: { accountType: 'SHARED' } })).id;
  assert.equal((await composio.experimental.updateAcl(account, { allowedUserIds: ['ann'] })).success, true);
});

test('connectedAccounts.disable', async () => {
  const account = await keyedAccount();
  assert.equal((await composio.connectedAccounts.disable(account)).success, true);
  const got = await composio.connectedAccounts.get(account);
  assert.deepEqual([got.status, got.isDisabled], ['INACTIVE', true]);
});

test('connectedAccounts.enable', async () => {
  const account = await keyedAccount();
  await composio.connectedAccounts.disable(account);
  assert.equal((await composio.connectedAccounts.enable(account)).success, true);
  assert.equal((await composio.connectedAccounts.get(account)).status, 'ACTIVE');
});

test('connectedAccounts.updateStatus', async () => {
  const account = await keyedAccount();
  assert.equal((await composio.connectedAccounts.updateStatus(account, { enabled: false })).success, true);
});

test('connectedAccounts.refresh', async () => {
  const { account } = await connected();
  const answer = await composio.connectedAccounts.refresh(account);
  assert.equal(answer.id, account);
  if (answer.redirect_url) await new Person().follow(answer.redirect_url);
  assert.equal((await composio.connectedAccounts.get(account)).status, 'ACTIVE');
});

test('connectedAccounts.revoke', async () => {
  const { account } = await connected();
  const answer = await composio.connectedAccounts.revoke(account);
  assert.equal(answer.connectedAccount.status, 'REVOKED');
  assert.ok(answer.revokedTokens.includes('access_token'), JSON.stringify(answer));
  assert.deepEqual((await composio.connectedAccounts.revoke(account)).revokedTokens, []);
});

test('connectedAccounts.revoke where the toolkit cannot', 'connectedAccounts.revoke', async () => {
  const account = await keyedAccount();
  isError(await fails(() => composio.connectedAccounts.revoke(account)), 'ComposioConnectedAccountRevocationNotSupportedError');
});

test('connectedAccounts.revoke of an account that is not active', 'connectedAccounts.revoke', async () => {
  const account = (await (await newSession()).authorize('sandbox')).id;
  isError(await fails(() => composio.connectedAccounts.revoke(account)), 'ComposioConnectedAccountNotRevokableError');
});

test('connectedAccounts.completeAuth', async () => {
  hasStatus(await fails(() => composio.connectedAccounts.completeAuth({ userId: 'somebody', sessionUri: 'nothing-like-it' })), 400, 404);
});

test('connectedAccounts.delete', async () => {
  const account = await keyedAccount();
  assert.equal((await composio.connectedAccounts.delete(account)).success, true);
  hasStatus(await fails(() => composio.connectedAccounts.get(account)), 404);
});

// ── Auth configs ────────────────────────────────────────────────────────────────────────────────

test('authConfigs.create', async () => {
  const made = await composio.authConfigs.create('sandbox', { type: 'use_composio_managed_auth', name: 'managed' });
  assert.match(made.id, /^ac_/);
  assert.deepEqual([made.isComposioManaged, made.authScheme, made.toolkit], [true, 'OAUTH2', 'sandbox']);
});

test('authConfigs.create with a client of one\'s own', 'authConfigs.create', async () => {
  const secret = 'client-secret-of-our-own';
  const credentials = { client_id: 'client-of-ours', client_secret: secret, scopes: 'notes:read' };
  const made = await composio.authConfigs.create('sandbox', { type: 'use_custom_auth', authScheme: 'OAUTH2', name: 'our own', credentials });
  assert.equal(made.isComposioManaged, false);
  const shown = await composio.authConfigs.get(made.id);
  assert.equal(shown.credentials.client_id, 'client-of-ours');
  assert.ok(!JSON.stringify(shown).includes(secret));
  await composio.authConfigs.delete(made.id);
});

test('authConfigs.create for an unknown toolkit', 'authConfigs.create', async () => {
  const error = await fails(() => composio.authConfigs.create('nosuchtoolkit'));
  hasStatus(error, 400, 404);
  includes(error, 'nosuchtoolkit');
});

test('authConfigs.create where nothing is managed', 'authConfigs.create', async () => {
  hasStatus(await fails(() => composio.authConfigs.create('github')), 400);
});

test('authConfigs.get', async () => {
  const made = await keyedConfig('to be read');
  const got = await composio.authConfigs.get(made);
  assert.deepEqual([got.id, got.name, got.status, got.toolkit.slug, got.noOfConnections], [made, 'to be read', 'ENABLED', 'keyed', 0]);
});

test('authConfigs.get of an unknown one', 'authConfigs.get', async () => {
  hasStatus(await fails(() => composio.authConfigs.get('ac_doesnotexist')), 404);
});

test('authConfigs.list', async () => {
  const search = newUser();
  const mine = [await keyedConfig(`${search} 1`), await keyedConfig(`${search} 2`), await keyedConfig(`${search} 3`)].sort();
  assert.deepEqual(ids(await composio.authConfigs.list({ search })).sort(), mine);
  const all = ids(await composio.authConfigs.list({ toolkit: 'keyed', limit: 200 }));
  assert.ok(mine.every(it => all.includes(it)));
  assert.ok((await composio.authConfigs.list({ isComposioManaged: true })).items.every(it => it.isComposioManaged));
  const first = await composio.authConfigs.list({ search, limit: 2 });
  const rest = await composio.authConfigs.list({ search, limit: 2, cursor: first.nextCursor });
  assert.deepEqual([...ids(first), ...ids(rest)].sort(), mine);
});

test('authConfigs.update', async () => {
  const made = await keyedConfig();
  const answer = await composio.authConfigs.update(made, { type: 'custom', credentials: {}, isEnabledForToolRouter: false });
  assert.equal(answer.success, true);
});

test('authConfigs.update of the tools that accounts may run', 'authConfigs.update', async () => {
  const made = await keyedConfig();
  const access = { toolsAvailableForExecution: ['KEYED_ANY'] };
  await composio.authConfigs.update(made, { type: 'custom', credentials: {}, toolAccessConfig: access });
  const shown = async () => (await composio.authConfigs.get(made)).toolAccessConfig.toolsAvailableForExecution;
  assert.deepEqual(await shown(), ['KEYED_ANY']);
  // A change of something else keeps the list.
  await composio.authConfigs.update(made, { type: 'custom', credentials: {}, isEnabledForToolRouter: false });
  assert.deepEqual(await shown(), ['KEYED_ANY']);
});

test('authConfigs.update of a managed one', 'authConfigs.update', async () => {
  const made = (await composio.authConfigs.create('sandbox')).id;
  await composio.authConfigs.update(made, { type: 'default', scopes: 'notes:read' });
  assert.ok(JSON.stringify(await composio.authConfigs.get(made)).includes('notes:read'));
  await composio.authConfigs.delete(made);
});

test('authConfigs.disable', async () => {
  const config = await keyedConfig();
  const account = await keyedAccount({ config });
  assert.equal((await composio.authConfigs.disable(config)).success, true);
  assert.equal((await composio.authConfigs.get(config)).status, 'DISABLED');
  assert.equal((await composio.connectedAccounts.get(account)).authConfig.isDisabled, true);
  const list = query => composio.authConfigs.list({ toolkit: 'keyed', limit: 200, ...query });
  assert.ok(!ids(await list({})).includes(config));
  assert.ok(ids(await list({ showDisabled: true })).includes(config));
});

test('authConfigs.enable', async () => {
  const config = await keyedConfig();
  await composio.authConfigs.disable(config);
  assert.equal((await composio.authConfigs.enable(config)).success, true);
  assert.equal((await composio.authConfigs.get(config)).status, 'ENABLED');
});

test('authConfigs.updateStatus', async () => {
  const config = await keyedConfig();
  assert.equal((await composio.authConfigs.updateStatus('DISABLED', config)).success, true);
});

test('authConfigs.delete', async () => {
  const config = await keyedConfig();
  const account = await keyedAccount({ config });
  assert.equal((await composio.authConfigs.delete(config)).success, true);
  hasStatus(await fails(() => composio.authConfigs.get(config)), 404);
  hasStatus(await fails(() => composio.connectedAccounts.get(account)), 404);
});

// ── Toolkits ────────────────────────────────────────────────────────────────────────────────────

test('toolkits.get', async () => {
  const toolkit = await composio.toolkits.get('sandbox');
  assert.deepEqual([toolkit.slug, toolkit.name], ['sandbox', 'Sandbox']);
  assert.deepEqual(toolkit.authConfigDetails.map(it => it.mode).sort(), ['API_KEY', 'BASIC', 'OAUTH2']);
  const list = await composio.toolkits.get({ category: 'testing', limit: 5, sortBy: 'alphabetically', managedBy: 'all' });
  assert.deepEqual((list.items ?? list).map(it => it.slug), ['keyed']);
});

test('toolkits.get of an unknown one', 'toolkits.get', async () => {
  isError(await fails(() => composio.toolkits.get('nosuchtoolkit')), 'ComposioToolkitNotFoundError');
});

test('toolkits.getMany', async () => {
  const answer = await composio.toolkits.getMany(['sandbox', 'keyed']);
  assert.deepEqual((answer.items ?? answer).map(it => it.slug).sort(), ['keyed', 'sandbox']);
});

test('toolkits.changelog', async () => {
  const sandbox = (await composio.toolkits.changelog()).items.find(it => it.slug === 'sandbox');
  assert.ok(sandbox.versions[0].version);
});

test('toolkits.listCategories', async () => {
  const answer = await composio.toolkits.listCategories();
  assert.ok((answer.items ?? answer).some(it => it.id === 'developer-tools' || it.slug === 'developer-tools'), JSON.stringify(answer));
});

test('toolkits.authorize', async () => {
  const user = newUser();
  const config = await managed();
  const request = await composio.toolkits.authorize(user, 'sandbox', config);
  assert.match(request.status, /^INITIA/);
  await new Person().follow(request.redirectUrl);
  assert.equal((await request.waitForConnection(10000)).status, 'ACTIVE');
});

test('toolkits.authorize without an auth config', 'toolkits.authorize', async () => {
  const request = await composio.toolkits.authorize(newUser(), 'sandbox');
  assert.ok(request.redirectUrl);
});

test('toolkits.getAuthConfigCreationFields', async () => {
  const fields = await composio.toolkits.getAuthConfigCreationFields('sandbox', 'OAUTH2');
  assert.ok(['client_id', 'client_secret'].every(name => fields.some(it => it.name === name)));
  isError(await fails(() => composio.toolkits.getAuthConfigCreationFields('keyed', 'OAUTH2')), 'ComposioAuthConfigNotFoundError');
});

test('toolkits.getConnectedAccountInitiationFields', async () => {
  const fields = await composio.toolkits.getConnectedAccountInitiationFields('keyed', 'API_KEY', { requiredOnly: true });
  assert.deepEqual(fields.map(it => it.name), ['generic_api_key']);
});

// ── The client package ──────────────────────────────────────────────────────────────────────────

const { session } = client.toolRouter;

test('client.toolRouter.session.create', async () => {
  const made = await session.create({ user_id: newUser(), toolkits: { enable: ['sandbox'] } });
  assert.match(made.session_id, /^trs_/);
  assert.equal(made.config_version, 1);
});

test('client.toolRouter.session.retrieve', async () => {
  const { sessionId } = await newSession();
  const got = await session.retrieve(sessionId);
  assert.deepEqual([got.session_id, got.config.toolkits.enabled], [sessionId, ['sandbox']]);
});

test('client.toolRouter.session.patch', async () => {
  const { sessionId } = await newSession();
  const answer = await session.patch(sessionId, { toolkits: { enable: ['keyed'] }, tags: ['readOnlyHint'] });
  assert.deepEqual([answer.config.toolkits.enabled, answer.config_version], [['keyed'], 2]);
});

test('client.toolRouter.session.tools', async () => {
  const { sessionId } = await newSession({ preload: { tools: ['SANDBOX_LIST_NOTES'] } });
  assert.deepEqual((await session.tools(sessionId)).items.map(it => it.slug), ['SANDBOX_LIST_NOTES', ...META_TOOLS]);
});

test('client.toolRouter.session.search', async () => {
  const { sessionId } = await newSession();
  const found = await session.search(sessionId, { queries: [{ use_case: 'list my notes' }] });
  assert.equal(found.results[0].primary_tool_slugs[0], 'SANDBOX_LIST_NOTES');
});

test('client.toolRouter.session.executeMeta', async () => {
  const { sessionId } = await newSession();
  const body = { slug: 'COMPOSIO_MANAGE_CONNECTIONS', arguments: { toolkits: ['sandbox'] } };
  const linked = await session.executeMeta(sessionId, body);
  assert.ok(linked.data.results.sandbox.redirect_url.includes('/link/lt_'), JSON.stringify(linked));
});

test('client.toolRouter.session.execute', async () => {
  const made = await connected();
  const answer = await session.execute(made.session.sessionId, { tool_slug: 'SANDBOX_GET_PROFILE', arguments: {} });
  assert.deepEqual([answer.error, answer.data.username], [null, 'alice']);
});

test('client.toolRouter.session.attach', async () => {
  const { sessionId } = await newSession();
  const tool = { slug: 'GREET', name: 'Greet', description: 'Greets', input_schema: { type: 'object', properties: {} } };
  assert.equal((await session.attach(sessionId, { experimental: { custom_tools: [tool] } })).session_id, sessionId);
});

test('client.toolRouter.session.configHistory', async () => {
  const { sessionId } = await newSession();
  const { items } = await session.configHistory(sessionId, { limit: 5 });
  assert.deepEqual(items.map(it => [it.version, it.is_current]), [[1, true]]);
});

test('client.toolRouter.session.toolkits', async () => {
  const { sessionId } = await newSession();
  assert.deepEqual(slugs(await session.toolkits(sessionId, { toolkits: ['sandbox'], is_connected: false, limit: 5 })), ['sandbox']);
});

test('client.toolRouter.session.link', async () => {
  const { sessionId } = await newSession();
  const answer = await session.link(sessionId, { toolkit: 'sandbox', callback_url: done, experimental: { account_type: 'PRIVATE' } });
  assert.match(answer.link_token, /^lt_/);
});

test('client.toolRouter.session.proxyExecute', async () => {
  const made = await connected();
  const body = { toolkit_slug: 'sandbox', endpoint: '/me', method: 'GET' };
  assert.equal((await session.proxyExecute(made.session.sessionId, body)).status, 200);
});

test('client.toolRouter.session.delete', async () => {
  const { sessionId } = await newSession();
  assert.equal((await session.delete(sessionId)).deleted, true);
});

test('client.link.create', async () => {
  const config = await managed();
  const answer = await client.link.create({ auth_config_id: config, user_id: newUser(), callback_url: done });
  assert.match(answer.link_token, /^lt_/);
  await new Person().follow(answer.redirect_url);
  assert.equal((await client.connectedAccounts.retrieve(answer.connected_account_id)).status, 'ACTIVE');
});

test('client.connectedAccounts.create', async () => {
  const config = await keyedConfig();
  const answer = await client.connectedAccounts.create({ auth_config: { id: config }, connection: { user_id: newUser(), state: keyState() } });
  assert.deepEqual([answer.status, answer.connectionData.val.status], ['ACTIVE', 'ACTIVE']);
});

test('client.connectedAccounts.retrieve', async () => {
  const account = await keyedAccount();
  assert.equal((await client.connectedAccounts.retrieve(account)).id, account);
  hasStatus(await fails(() => client.connectedAccounts.retrieve('ca_doesnotexist')), 404);
});

test('client.connectedAccounts.list', async () => {
  const user = newUser();
  const account = await keyedAccount({ user });
  assert.deepEqual(ids(await client.connectedAccounts.list({ user_ids: [user], connected_account_ids: [account] })), [account]);
});

test('client.connectedAccounts.patch', async () => {
  const account = await keyedAccount();
  assert.equal((await client.connectedAccounts.patch(account, { alias: 'renamed' })).success, true);
  assert.equal((await client.connectedAccounts.retrieve(account)).alias, 'renamed');
  const state = { authScheme: 'API_KEY', val: { generic_api_key: 'another-key-two' } };
  assert.equal((await client.connectedAccounts.patch(account, { alias: '', connection: { state } })).success, true);
  const got = await client.connectedAccounts.retrieve(account);
  assert.ok(!got.alias && got.state.val.generic_api_key.startsWith('anot'), JSON.stringify(got));
});

test('client.connectedAccounts.patch with an alias that is taken', 'client.connectedAccounts.patch', async () => {
  const user = newUser();
  const config = await keyedConfig();
  await keyedAccount({ user, config, alias: 'first' });
  const second = await keyedAccount({ user, config });
  hasStatus(await fails(() => client.connectedAccounts.patch(second, { alias: 'first' })), 400);
});

test('client.connectedAccounts.updateStatus', async () => {
  const account = await keyedAccount();
  assert.equal((await client.connectedAccounts.updateStatus(account, { enabled: false })).success, true);
});

test('client.connectedAccounts.refresh', async () => {
  const account = await keyedAccount();
  hasStatus(await fails(() => client.connectedAccounts.refresh(account)), 400);
});

test('client.connectedAccounts.revoke', async () => {
  const { account } = await connected();
  assert.equal((await client.connectedAccounts.revoke(account)).connected_account.status, 'REVOKED');
});

test('client.connectedAccounts.delete', async () => {
  const { account } = await connected();
  assert.equal((await client.connectedAccounts.delete(account, { revoke_on_delete: true })).success, true);
  hasStatus(await fails(() => client.connectedAccounts.retrieve(account)), 404);
});

test('client.authConfigs.create', async () => {
  const body = { toolkit: { slug: 'keyed' }, auth_config: { type: 'use_custom_auth', authScheme: 'API_KEY', credentials: {} } };
  const made = await client.authConfigs.create(body);
  assert.equal(made.toolkit.slug, 'keyed');
});

test('client.authConfigs.retrieve', async () => {
  const config = await keyedConfig();
  assert.equal((await client.authConfigs.retrieve(config)).id, config);
});

test('client.authConfigs.list', async () => {
  const config = await keyedConfig();
  assert.ok(ids(await client.authConfigs.list({ toolkit_slug: 'keyed', limit: 200 })).includes(config));
});

test('client.authConfigs.update', async () => {
  const config = await keyedConfig();
  assert.equal((await client.authConfigs.update(config, { type: 'custom', name: 'after' })).success, true);
  assert.equal((await client.authConfigs.retrieve(config)).name, 'after');
});

test('client.authConfigs.updateStatus', async () => {
  const nanoid = await keyedConfig();
  assert.equal((await client.authConfigs.updateStatus('DISABLED', { nanoid })).success, true);
});

test('client.authConfigs.delete', async () => {
  const config = await keyedConfig();
  assert.equal((await client.authConfigs.delete(config)).success, true);
});

test('client.authConfigs.delete with revocation', 'client.authConfigs.delete', async () => {
  const made = await composio.authConfigs.create('sandbox', { type: 'use_composio_managed_auth', name: 'to be deleted' });
  const request = await composio.connectedAccounts.link(newUser(), made.id);
  await new Person().follow(request.redirectUrl);
  assert.equal((await client.authConfigs.delete(made.id, { revoke_on_delete: true })).success, true);
  hasStatus(await fails(() => client.connectedAccounts.retrieve(request.id)), 404);
});

test('client.toolkits.list', async () => {
  const page = await client.toolkits.list({ search: 'keye', managed_by: 'all' });
  assert.deepEqual([slugs(page), page.total_items], [['keyed'], 1]);
});

test('client.toolkits.retrieve', async () => {
  assert.deepEqual((await client.toolkits.retrieve('sandbox')).composio_managed_auth_schemes, ['OAUTH2']);
});

test('client.toolkits.retrieveCategories', async () => {
  assert.ok(ids(await client.toolkits.retrieveCategories()).includes('testing'));
});

test('client.toolkits.retrieveMulti', async () => {
  const page = await client.toolkits.retrieveMulti({ toolkits: ['sandbox', 'keyed'], limit: 1, sort_by: 'alphabetically' });
  assert.deepEqual([slugs(page), page.total_items], [['keyed'], 2]);
});

test('client.toolkits.retrieveChangelog', async () => {
  assert.ok(slugs(await client.toolkits.retrieveChangelog()).includes('sandbox'));
});

// ── Organisation, projects and keys ─────────────────────────────────────────────────────────────

// The client package with another kind of key.
function otherKey(kind, key) {
  if (!key) throw new Absent(`the server has no key for it: ${kind}`);
  const name = { organization: 'orgApiKey', user: 'userApiKey' }[kind];
  const made = new Client({ baseURL: BASE, apiKey: null, [name]: key });
  if (made[name] === key) return made;
  // The older client knows project keys only.
  const header = { organization: 'x-org-api-key', user: 'x-user-api-key' }[kind];
  return new Client({ baseURL: BASE, apiKey: null, defaultHeaders: { [header]: key } });
}
const organization = () => watch(otherKey('organization', ORG_KEY), 'client.');
const person = () => watch(otherKey('user', USER_KEY), 'client.');
const project = () => organization().org.owner.project.create({ name: `made-${newUser()}`, should_create_api_key: true });
const opens = async key => assert.ok((await lowLevel(key).toolkits.list({ limit: 1 })).items.length);
const opensNoMore = async key => hasStatus(await fails(() => lowLevel(key).toolkits.list()), 401);

test('client.auth.session.retrieveInfo', async () => {
  const info = await client.auth.session.retrieveInfo();
  assert.match(info.project.id, /^pr_/);
  assert.ok(info.org_member.id);
});

test('client.org.owner.project.create', async () => {
  await opens((await project()).api_key);
  hasStatus(await fails(() => organization().org.owner.project.create({ name: 'no spaces please' })), 400);
});

test('client.org.owner.project.create with a scoped key', 'client.org.owner.project.create', async () => {
  const body = { name: `scoped-${newUser()}`, should_create_api_key: true, api_key_permissions: [{ preset: 'toolkits', access: 'read' }] };
  const made = await organization().org.owner.project.create(body);
  await opens(made.api_key);
  hasStatus(await fails(() => lowLevel(made.api_key).toolRouter.session.create({ user_id: 'somebody' })), 403);
});

test("client.org.owner.project.create with a project's key", 'client.org.owner.project.create', async () => {
  hasStatus(await fails(() => client.org.owner.project.create({ name: 'by-a-project' })), 401, 403);
});

test('client.org.owner.project.list', async () => {
  const made = await project();
  const { list } = organization().org.owner.project;
  assert.ok((await list({ limit: 50 })).data.some(it => it.id === made.id));
  const first = await list({ limit: 1 });
  assert.notEqual((await list({ limit: 1, cursor: first.next_cursor })).data[0].id, first.data[0].id);
});

test('client.org.owner.project.retrieve', async () => {
  const made = await project();
  const got = await organization().org.owner.project.retrieve(made.id);
  assert.deepEqual([got.id, got.name, got.api_keys.length], [made.id, made.name, 1]);
  assert.ok(!JSON.stringify(got).includes(made.api_key));
});

test('client.org.owner.project.regenerateAPIKey', async () => {
  const made = await project();
  await opens((await organization().org.owner.project.regenerateAPIKey(made.id)).api_key.key);
  await opensNoMore(made.api_key);
});

test('client.org.owner.project.delete', async () => {
  const made = await project();
  await organization().org.owner.project.delete(made.id);
  hasStatus(await fails(() => organization().org.owner.project.retrieve(made.id)), 404);
  await opensNoMore(made.api_key);
});

test('client.org.list', async () => {
  assert.equal((await person().org.list()).organizations.length, 1);
});

test('client.org.project.list', async () => {
  const made = await project();
  assert.ok((await person().org.project.list({ limit: 50 })).data.some(it => it.id === made.id));
});

test('client.apiKeyRevocation.create', async () => {
  const made = await project();
  assert.equal((await client.apiKeyRevocation.create({ api_keys: [made.api_key, 'nothing like a key'] })).received, true);
  await opensNoMore(made.api_key);
});

// ── Tools without a session ─────────────────────────────────────────────────────────────────────

test('tools.get', async () => {
  const names = (await composio.tools.get('somebody', { toolkits: ['sandbox'] })).map(it => it.function.name);
  assert.ok(['SANDBOX_CREATE_NOTE', 'SANDBOX_LIST_NOTES', 'SANDBOX_DELETE_NOTE'].every(it => names.includes(it)), names);
});

test('tools.execute', async () => {
  const { user: userId } = await connected();
  const call = { userId, dangerouslySkipVersionCheck: true };
  const made = await composio.tools.execute('SANDBOX_CREATE_NOTE', { ...call, arguments: { text: 'without a session' } });
  assert.equal(made.successful, true);
  assert.equal(made.data.text, 'without a session');
  const gone = await composio.tools.execute('SANDBOX_DELETE_NOTE', { ...call, arguments: { note_id: 'note_999999' } });
  assert.equal(gone.successful, false);
  assert.match(gone.error, /404/);
});

test('tools.executeSessionTool', async () => {
  const { session } = await connected();
  const made = await composio.tools.executeSessionTool('SANDBOX_CREATE_NOTE', { sessionId: session.sessionId, arguments: { text: 'x' } });
  assert.equal(made.data.text, 'x');
});

test('tools.getRawComposioToolBySlug', async () => {
  const tool = await composio.tools.getRawComposioToolBySlug('SANDBOX_LIST_NOTES');
  assert.equal(tool.toolkit.slug, 'sandbox');
});

test('tools.getRawComposioTools', async () => {
  const tools = await composio.tools.getRawComposioTools({ toolkits: ['sandbox'] });
  assert.ok(tools.length >= 6 && tools.every(it => it.inputParameters.type === 'object'), tools);
});

test('tools.getRawToolRouterSessionTools', async () => {
  const session = await composio.create(newUser(), { toolkits: ['sandbox'], preload: { tools: ['SANDBOX_LIST_NOTES'] } });
  const tools = await composio.tools.getRawToolRouterSessionTools(session.sessionId);
  assert.deepEqual(tools.map(it => it.slug), ['SANDBOX_LIST_NOTES', ...META_TOOLS]);
});

test('tools.getToolsEnum', async () => {
  assert.ok(JSON.stringify(await composio.tools.getToolsEnum()).includes('SANDBOX_LIST_NOTES'));
});

test('tools.proxyExecute', async () => {
  const { account } = await connected();
  const answer = await composio.tools.proxyExecute({ endpoint: '/me', method: 'GET', connectedAccountId: account });
  assert.equal(answer.status, 200);
  assert.equal(answer.data.username, 'alice');
});

test('toolkits.recommendScopes', async () => {
  const answer = await composio.toolkits.recommendScopes('sandbox', { tools: ['SANDBOX_CREATE_NOTE'] });
  assert.ok(JSON.stringify(answer).includes('notes:write'), JSON.stringify(answer));
});

test('toolkits.listGrantContexts', async () => {
  assert.ok(JSON.stringify(await composio.toolkits.listGrantContexts('sandbox')).includes('OAUTH2'));
});

test('client.tools.list', async () => {
  const page = await client.tools.list({ toolkit_slug: 'sandbox', limit: 2 });
  assert.deepEqual([page.items.length, page.items[0].toolkit.slug], [2, 'sandbox']);
});

test('client.tools.retrieve', async () => {
  assert.ok((await client.tools.retrieve('SANDBOX_LIST_NOTES')).tags.includes('readOnlyHint'));
});

test('client.tools.retrieveEnum', async () => {
  assert.ok(JSON.stringify(await client.tools.retrieveEnum()).includes('SANDBOX_LIST_NOTES'));
});

test('client.tools.retrieveRequiredScopes', async () => {
  const answer = await client.tools.retrieveRequiredScopes({ tools: ['SANDBOX_CREATE_NOTE'] });
  assert.deepEqual(answer.scopes_required, ['notes:write']);
});

test('client.tools.execute', async () => {
  const { user, account } = await connected();
  const answer = await client.tools.execute('SANDBOX_GET_PROFILE', { user_id: user, connected_account_id: account, arguments: {} });
  assert.deepEqual([answer.successful, answer.data.username], [true, 'alice']);
});

test('client.tools.proxy', async () => {
  const { account } = await connected();
  const answer = await client.tools.proxy({ endpoint: '/me', method: 'GET', connected_account_id: account });
  assert.deepEqual([answer.status, answer.data.username], [200, 'alice']);
});

// ── What is not built, where the SDK checks what it is given ────────────────────────────────────

const later = (name, call) => test(name, () => notBuilt(call));
later('tools.getInput', () => composio.tools.getInput('SANDBOX_LIST_NOTES', { text: 'all of them' }));
later('triggers.create', () => composio.triggers.create('somebody', 'SANDBOX_NOTE_ADDED', { connectedAccountId: 'ca_1', triggerConfig: {} }));
later('triggers.update', () => composio.triggers.update('ti_1', { status: 'enable' }));
later('triggers.listActive', () => composio.triggers.listActive({}));
later('triggers.listTypes', () => composio.triggers.listTypes({}));
later('triggers.setWebhookSubscription', () => composio.triggers.setWebhookSubscription({ webhookUrl: 'https://app.example/hook' }));
later('triggers.subscribe', () => composio.triggers.subscribe(() => {}));
later('triggers.unsubscribe', () => composio.triggers.unsubscribe());
later('mcp.create', () => composio.mcp.create('a server', { toolkits: ['sandbox'], allowedTools: ['SANDBOX_LIST_NOTES'] }));
later('mcp.list', () => composio.mcp.list({}));
later('mcp.update', () => composio.mcp.update('mcp_1', { name: 'a server' }));
later('mcp.generate', () => composio.mcp.generate('somebody', 'mcp_1', {}));
later('experimental.customToolkits.sync', () => composio.experimental.customToolkits.sync('CUSTOM_ONE', { connectedAccountId: 'ca_1' }));
later('sessionConfigs.list', () => composio.sessionConfigs.list({}));
later('webhooks.endpoints.create', () => composio.webhooks.endpoints.create({ toolkitSlug: 'sandbox', clientId: 'x' }));
later('webhooks.endpoints.replace', () => composio.webhooks.endpoints.replace('we_1', { data: {} }));
later('webhooks.endpoints.update', () => composio.webhooks.endpoints.update('we_1', { data: {} }));
later('webhooks.subscriptions.update', () => composio.webhooks.subscriptions.update('ws_1', { enabledEvents: ['composio.trigger.message'] }));
later('webhooks.endpoints.list', () => composio.webhooks.endpoints.list({ toolkitSlug: 'sandbox' }));
later('webhooks.subscriptions.set', () => composio.webhooks.subscriptions.set({ webhookUrl: 'https://app.example/hook' }));
later('webhooks.subscriptions.list', () => composio.webhooks.subscriptions.list({}));

// A call of a tool, in the log; its id.
async function logged() {
  const session = await newSession();
  const made = await session.execute('SANDBOX_GET_PROFILE', {});
  return made.logId ?? made.log_id;
}

// The call is in the log within a second.
async function untilLogged(read) {
  for (let tries = 0; ; tries++) {
    try {
      return await read();
    } catch (error) {
      if (status(error) !== 404 || tries === 100) throw error;
      await new Promise(resolve => setTimeout(resolve, 50));
    }
  }
}

test('client.logs.createToolExecution', async () => {
  const id = await logged();
  const filters = [{ field: 'log_id', operator: '==', value: id }];
  const find = async () => (await client.logs.createToolExecution({ filters, limit: 5 })).logs;
  await untilLogged(() => client.logs.retrieveToolExecution(id));
  const [log] = await find();
  assert.ok(log.id === id && log.status === 'failed' && log.level === 'error', JSON.stringify(log));
});

test('client.logs.retrieveToolExecution', async () => {
  const id = await logged();
  const log = await untilLogged(() => client.logs.retrieveToolExecution(id));
  assert.equal(log.message, 'no_active_connection');
  hasStatus(await fails(() => client.logs.retrieveToolExecution('log_x')), 404);
});

test('client.logs.tools.list', async () => {
  const id = await logged();
  await untilLogged(() => client.logs.tools.retrieve(id));
  const page = await client.logs.tools.list({ cursor: null, limit: 1 });
  assert.ok(page.data.length === 1 && page.data[0].appKey === 'sandbox', JSON.stringify(page));
});

test('client.logs.tools.retrieve', async () => {
  const id = await logged();
  const log = await untilLogged(() => client.logs.tools.retrieve(id));
  assert.ok(log.actionLogId === id && log.actionId === 'SANDBOX_GET_PROFILE', JSON.stringify(log));
});

test('client.logs.tools.listFields', async () => {
  const { fields } = await client.logs.tools.listFields();
  assert.ok(fields.tool_execution.some(field => field.id === 'tool_slug'), JSON.stringify(fields));
});

test('logs.search', async () => {
  await untilLogged(async () => client.logs.retrieveToolExecution(await logged()).catch(() => ({})));
  assert.ok(Array.isArray((await composio.logs.search({})).logs));
});

test('logs.get', async () => {
  const id = await logged();
  await untilLogged(() => client.logs.retrieveToolExecution(id));
  assert.equal((await composio.logs.get(id)).id, id);
});

test('client.project.usage.retrieveSummary', async () => {
  const { entities } = await client.project.usage.retrieveSummary({});
  assert.equal(entities.tool_calls.unit, 'call');
});

test('client.project.usage.retrieve', async () => {
  const usage = await client.project.usage.retrieve('tool_calls', { group_by: 'user_id', limit: 1 });
  assert.ok(usage.entity_type === 'tool_calls' && usage.groups.length <= 1, JSON.stringify(usage));
});

test('client.org.usage.retrieveSummary', async () => {
  const { entities } = await organization().org.usage.retrieveSummary({});
  assert.equal(entities.proxy_calls.unit, 'call');
});

test('client.org.usage.retrieve', async () => {
  const usage = await organization().org.usage.retrieve('tool_calls', { group_by: 'project_id' });
  assert.equal(usage.entity_type, 'tool_calls');
});

test('experimental.usage.summary', async () => {
  const { entities } = await composio.experimental.usage.summary({});
  assert.ok(entities.tool_calls, JSON.stringify(entities));
});

test('experimental.usage.breakdown', async () => {
  const usage = await composio.experimental.usage.breakdown('tool_calls', { groupBy: 'tool_slug', limit: 10 });
  assert.ok(Array.isArray(usage.groups), JSON.stringify(usage));
});

// Every method of this SDK line: name → one for each client.
async function known() {
  const found = new Map();
  const add = (name, method) => found.set(name, [...(found.get(name) ?? []), method]);
  for (const [name, method] of methodsOf(plain, '')) add(/^(create|use)$/.test(name) ? `composio.${name}` : name, method);
  const clients = [plainClient(KEY)];
  for (const [kind, key] of [['organization', ORG_KEY], ['user', USER_KEY]]) {
    // Without such a key its operations are asked with the project's.
    if (key) clients.push(otherKey(kind, key));
  }
  for (const one of clients) for (const [name, method] of methodsOf(one, 'client.')) add(name, method);
  const made = await plain.create('somebody', { toolkits: ['sandbox'] });
  for (const [name, method] of methodsOf(made, 'session.')) add(name, method);
  for (const [name, method] of methodsOf(await made.authorize('sandbox'), 'connection_request.')) add(name, method);
  return found;
}

process.exitCode = (await run(await known(), process.argv.slice(2))) ? 1 : 0;
