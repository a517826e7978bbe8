// What the conformance suite is made of: the list of an SDK's methods, read from the SDK itself, and
// cases that print one JSON line each.

const cases = [];
const { RECORDER, TRACE, USER_KEY = 'x' } = process.env;

// Public for the SDK itself, and without a request of their own: helpers, plumbing, and what makes requests countable.
const helpers = new RegExp(
  [
    '^(apply|parse|normalize|transform|wrap|createExecute|createMCP|handle|bind|buildU?R?L?|validate|try|should|stringify)',
    '^(constructor|getClient|getConfig|client.*|config|provider|telemetry|logger|options|flush|createSession|pusherService|migration)$',
    '^(toJSON|toString|getPreloaded.*|addPreloaded.*|hasCustomTools|customTools?|customToolkits|customToolEntryToTool|routeMultiExecute)$',
    '^(executeBackendSessionTool|verifyWebhook.*|warned.*|normalizeUploadInput|executeWithTool|executeComposioTool|getToolkits|getToolkitBySlug)$',
    '^(getAuthConfigFields|sdkConfig|customToolsMap|preload.*|sandbox|workbench|inline.*|sessionContext|mcp|warnings|toolkitClient)$',
  ].join('|')
);
// `files.download` fetches the address it is given, not this server.
const plumbing = /^client\.(get|post|put|patch|delete|request|withOptions|authHeaders|buildBody|buildHeaders|buildRequest|buildURL|calculate\w+|default\w+|fetch\w*|getUserAgent|makeRequest|makeStatusError|methodRequest|prepare\w+|retryRequest)$|^files\.download$/;

function namesOf(thing) {
  const names = new Set(Object.keys(thing));
  for (let it = Object.getPrototypeOf(thing); it && it !== Object.prototype; it = Object.getPrototypeOf(it)) {
    for (const name of Object.getOwnPropertyNames(it)) names.add(name);
  }
  return [...names].filter(name => !/^[_#]/.test(name)).sort();
}

// Every public method below an object of the SDK: its dotted name, bound to its object. What is reached twice counts once.
export function methodsOf(thing, prefix, found = new Map(), seen = new Set(), skip = helpers) {
  for (const name of namesOf(thing)) {
    if (skip.test(name) && !(name === 'mcp' && prefix.split('.').length <= 2 && !prefix.startsWith('session.'))) continue;
    const value = thing[name];
    if (typeof value === 'function') {
      if (/^class\b/.test(Function.prototype.toString.call(value)) || plumbing.test(prefix + name)) continue;
      found.set(prefix + name, { call: value.bind(thing), source: value });
    } else if (hasMethods(value, name)) {
      const kind = value.constructor === Object ? value : value.constructor;
      if (seen.has(kind)) continue;
      seen.add(kind);
      methodsOf(value, `${prefix}${name}.`, found, seen, skip);
    }
  }
  return found;
}

// A named case. It covers the method that is the first word of its name, unless told otherwise.
export function test(name, ...rest) {
  const run = rest.pop();
  cases.push({ name, methods: rest.length ? rest : [name.split(' ')[0]], run });
}

// This SDK line lacks what the case needs.
export class Absent extends Error {}

// The operations that reached the server since the last look, as `METHOD /path`.
const take = async () => (RECORDER ? (await fetch(RECORDER, { method: 'POST' })).json() : []);

// What the methods of the case called: [method, operations] in their order.
const calls = [];

// A method that notes which operations it calls.
const watched = (name, call) => async (...given) => {
  await take();
  try {
    const answer = await call(...given);
    if (answer?.sessionId && typeof answer.authorize === 'function') return watch(answer, 'session.');
    return typeof answer?.waitForConnection === 'function' ? watch(answer, 'connection_request.') : answer;
  } finally {
    calls.push([name, await take()]);
  }
};

// An object of the SDK, looked at from outside; the SDK itself is left as it is.
export function watch(thing, prefix) {
  return new Proxy(thing, {
    get(target, key) {
      const value = target[key];
      if (typeof key !== 'string' || key === 'constructor') return value;
      if (typeof value === 'function') {
        const name = prefix === '' && /^(create|use)$/.test(key) ? `composio.${key}` : prefix + key;
        return watched(name, (...given) => value.apply(target, given));
      }
      return hasMethods(value, key) ? watch(value, `${prefix}${key}.`) : value;
    },
  });
}

// Whether something is a part of the SDK with methods, and no answer.
const hasMethods = (value, name) =>
  !!value && typeof value === 'object' &&
  (name === 'experimental' || ![Object, Map, Set, Array, undefined].includes(Object.getPrototypeOf(value)?.constructor));

const chain = error => {
  const errors = [];
  for (let it = error; it && !errors.includes(it); it = it.cause) errors.push(it);
  return errors;
};

// The status of the answer behind an error; undefined when there was none.
export const status = error => chain(error).map(it => it.status ?? it.statusCode).find(it => typeof it === 'number');

// An error and its causes, in words.
export const words = error => chain(error).map(it => `${it.name}: ${it.message} ${JSON.stringify(it.error ?? '')}`).join(' <- ');

// The error of a call that has to fail.
export async function fails(call) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    return error;
  }
  throw new Error(`expected an error, got ${JSON.stringify(answer)}`.slice(0, 400));
}

function assert(condition, message) {
  if (!condition) throw new Error(typeof message === 'string' ? message : JSON.stringify(message));
}

// Whether an SDK's error is our answer for what is not built: status, slug and advice.
const isNotBuilt = error => status(error) === 501 && ['HTTP_NotImplemented', 'docs/compatibility.md'].every(it => words(error).includes(it));

function assertNotBuilt(error) {
  assert(isNotBuilt(error), `${status(error)} ${words(error)}`);
  assert((calls.at(-1)?.[1].length ?? 0) <= 1, `retried: ${calls.at(-1)}`);
  return '501';
}

// Asserts that a call ends quickly, with one request, in the SDK's error for a 501 of ours.
export async function notBuilt(call) {
  const started = Date.now();
  const error = await fails(call);
  assert(Date.now() - started < 5000, 'it took too long: is it retried?');
  return assertNotBuilt(error);
}

// Something for every argument: by its name, an object or a word.
function filled(source) {
  const list = Function.prototype.toString.call(source).match(/\(([^)]*)\)/)?.[1] ?? '';
  const anything = new Proxy({}, { get: (_, key) => (key === 'x-user-api-key' ? USER_KEY : typeof key === 'string' && !['toJSON', 'then'].includes(key) ? 'x' : undefined), ownKeys: () => [], has: () => true });
  return list.split(',').map(it => it.split('=')[0].trim()).filter(it => it && it !== 'options')
    .map(name => (/params|body|query/.test(name) ? (name === 'params' ? anything : {}) : 'x'));
}

function report(one, outcome, note, started) {
  let operations = [...new Set(calls.filter(([name]) => one.methods.includes(name)).flatMap(([, called]) => called))];
  // The preparation went no further.
  if (outcome === '501' && !operations.length) operations = calls.at(-1)?.[1] ?? [];
  console.log(JSON.stringify({ name: one.name, methods: one.methods, operations, outcome, note: String(note).slice(0, 900), ms: Date.now() - started }));
}

// Runs every case, then every method without a case, which is expected not to be built. `known`: name → a list of
// methods, one per client. With words, only the cases that have one of them. How many failed.
export async function run(known, only = []) {
  const covered = new Set();
  const chosen = name => !only.length || only.some(word => name.includes(word));
  let failed = 0;
  const attempt = async (one, action) => {
    const started = Date.now();
    calls.length = 0;
    let outcome, note = '';
    try {
      outcome = (await action()) === '501' ? '501' : 'works';
    } catch (error) {
      note = words(error);
      // The core package calls a method that the client package of this line does not have.
      const missing = /this\.client\.[\w.]+ is not a function|Cannot read properties of undefined/.test(note);
      outcome = error instanceof Absent || missing ? 'absent' : isNotBuilt(error) ? '501' : 'failed'; // A case may be there before its operation is.
      if (TRACE) console.error(error);
    }
    failed += outcome === 'failed';
    report(one, outcome, note, started);
  };
  for (const one of cases) {
    one.methods.forEach(it => covered.add(it));
    if (!chosen(one.name)) continue;
    calls.length = 0;
    const missing = one.methods.filter(it => !known.has(it));
    if (missing.length) report(one, 'absent', `no ${missing.join(', ')}`, Date.now());
    else await attempt(one, one.run);
  }
  for (const name of [...known.keys()].filter(it => !covered.has(it) && chosen(it)).sort()) {
    await attempt({ name, methods: [name] }, async () => {
      let error;
      for (const method of known.get(name)) {
        calls.length = 0;
        const call = watched(name, method.call);
        error = await fails(() => call(...filled(method.source)));
        // An operation for another kind of key: the next client has one.
        if (![401, 403].includes(status(error))) break;
      }
      try {
        return assertNotBuilt(error);
      } catch (reason) {
        throw new Error(`a method without a case: ${reason.message}`);
      }
    });
  }
  return failed;
}
