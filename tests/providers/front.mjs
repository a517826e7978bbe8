// What every Node test provider shares: the command line, the ready line, the life cycle, and a front server
// that records requests and injects faults before it passes them on to the provider itself.
// README.md documents the options, the control paths and the faults.
import { once } from 'node:events';
import http from 'node:http';
import { parseArgs } from 'node:util';

const COMMON_OPTIONS = {
  port: { type: 'string', default: '0' },
  issuer: { type: 'string' },
  'redirect-uri': { type: 'string', multiple: true, default: [] },
  'redirect-uri-prefix': { type: 'string', multiple: true, default: [] },
  'access-ttl': { type: 'string', default: '60' },
  login: { type: 'string', default: 'alice' },
};

/** Reads the command line: the common options plus the provider's own. An unknown option ends the process. */
export function readOptions(own = {}) {
  try {
    const { values } = parseArgs({ options: { ...COMMON_OPTIONS, ...own }, strict: true });
    return { ...values, port: integer(values, 'port'), accessTtl: integer(values, 'access-ttl') };
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
}

/** The whole number that option `name` holds; throws with the option's name otherwise. */
export function integer(values, name) {
  if (!/^\d+$/.test(values[name])) throw new Error(`--${name} needs a whole number, got '${values[name]}'`);
  return Number(values[name]);
}

/** Redirect URIs that clients may use: exact ones, and prefixes that one more path segment may follow. */
export class RedirectUris {
  constructor(options) {
    this.exact = new Set(options['redirect-uri']);
    this.prefixes = options['redirect-uri-prefix'];
  }

  add(uris) {
    for (const uri of uris) this.exact.add(uri);
  }

  allows(uri) {
    if (this.exact.has(uri)) return true;
    return this.prefixes.some((prefix) => uri.startsWith(prefix) && /^[\w-]+$/.test(uri.slice(prefix.length)));
  }
}

/** The HTML text of a value that came from a request. */
export const escapeHtml = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** The whole body of a request. */
export async function readBody(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * Starts the front server, then the provider behind it, and prints the ready line.
 * `start(origin)` gets the origin under which the provider is reached and answers
 * `{ handler, ready }`: a Node request listener, and what the ready line says about endpoints and clients.
 */
export async function serve(options, redirectUris, start) {
  const front = new Front(redirectUris);
  const server = http.createServer((request, response) => {
    front.handle(request, response).catch((error) => {
      console.error(`front: ${error.stack}`);
      response.destroy();
    });
  });
  const port = await listen(server, options.port);
  const { handler, ready } = await start(options.issuer ?? `http://127.0.0.1:${port}`);
  front.tokenPath = new URL(ready.token_endpoint).pathname;
  front.innerPort = await listen(http.createServer(handler), 0);

  // A test that dies closes our stdin, so no provider outlives the test that started it.
  const quit = () => process.exit(0);
  process.on('SIGTERM', quit).on('SIGINT', quit);
  process.stdin.on('end', quit).on('error', quit).resume();
  console.log(JSON.stringify({ ready: true, port, ...ready }));
}

async function listen(server, port) {
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return server.address().port;
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

class Front {
  tokenPath = '';
  innerPort = 0;
  #seen = [];
  #faults = [];
  #redirectUris;

  constructor(redirectUris) {
    this.#redirectUris = redirectUris;
  }

  async handle(request, response) {
    const body = await readBody(request);
    const url = new URL(request.url, 'http://front');
    const { method, headers } = request;
    if (this.#control(method, url, body, response)) return;

    this.#seen.push({ at: Date.now(), method, url: request.url, headers, body: body.toString('latin1') });
    const fault = this.#takeFault(url.pathname, headers, body);
    if (fault && (await injected(fault, request, response))) return;
    this.#forward(request, body, response, fault);
  }

  /** Serves the paths that belong to the test, not to the provider; false when it is none of them. */
  #control(method, url, body, response) {
    switch (url.pathname) {
      case '/health':
        response.end('ok');
        return true;
      case '/_seen': {
        if (method === 'DELETE') this.#seen = [];
        const path = url.searchParams.get('path') ?? this.tokenPath;
        sendJson(response, this.#seen.filter((seen) => path === '*' || seen.url.split('?')[0] === path));
        return true;
      }
      case '/_fault':
        if (method === 'DELETE') this.#faults = [];
        if (method === 'POST') this.#faults.push(...[JSON.parse(body)].flat());
        sendJson(response, this.#faults);
        return true;
      case '/_control/redirect_uris':
        if (method === 'POST') this.#redirectUris.add(JSON.parse(body).add);
        sendJson(response, { redirect_uris: [...this.#redirectUris.exact] });
        return true;
      default:
        return false;
    }
  }

  #takeFault(path, headers, body) {
    const form = new URLSearchParams(body.toString());
    const fault = this.#faults.find(
      (f) =>
        (!f.path || f.path === path) &&
        (!f.grant || form.get('grant_type') === f.grant) &&
        (!f.client_auth || clientAuth(headers, form) === f.client_auth) &&
        (f.times === undefined || f.times > 0),
    );
    if (fault?.times !== undefined) fault.times -= 1;
    return fault;
  }

  #forward(request, body, response, fault) {
    const { method, url, headers } = request;
    // One connection a request: an idle one that the provider closes at the wrong moment would look like a fault.
    const inner = http.request({ host: '127.0.0.1', port: this.innerPort, method, path: url, headers, agent: false });
    inner.on('error', () => response.destroy());
    inner.on('response', (answer) => {
      if (fault?.drop_response) {
        // The provider did the work and the client never hears of it.
        answer.resume().on('end', () => request.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
    });
    inner.end(body);
  }
}

/** How a request's client authenticates (RFC 6749 section 2.3.1). */
function clientAuth(headers, form) {
  if (/^Basic /i.test(headers.authorization ?? '')) return 'client_secret_basic';
  return form.has('client_secret') ? 'client_secret_post' : 'none';
}

function sendJson(response, value) {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
}

/** Plays `fault` instead of the provider; false when the request still has to reach the provider. */
async function injected(fault, request, response) {
  if (fault.delay_ms) await sleep(fault.delay_ms);
  if (fault.reset) {
    request.socket.destroy();
    return true;
  }
  if (fault.status === undefined && fault.body === undefined && fault.base64 === undefined) return false;

  const body = fault.base64 ? Buffer.from(fault.base64, 'base64') : Buffer.from(fault.body ?? '');
  const headers = { 'content-type': 'application/json', ...fault.headers };
  if (fault.cut) headers['content-length'] = body.length + 50;
  response.writeHead(fault.status ?? 200, headers);
  if (fault.cut) {
    response.write(body, () => request.socket.destroy());
  } else if (fault.trickle_ms) {
    await trickle(body, fault.trickle_ms, response);
  } else if (fault.repeat) {
    await flood(body, fault.repeat, response);
  } else {
    response.end(body);
  }
  return true;
}

/** One byte at a time, to be slow without ever being silent. */
async function trickle(body, pause, response) {
  for (const byte of body) {
    if (response.destroyed) return;
    response.write(Buffer.from([byte]));
    await sleep(pause);
  }
  response.end();
}

/** The body `count` times over, as fast as the client reads, until it hangs up. */
async function flood(body, count, response) {
  const closed = once(response, 'close');
  for (let i = 0; i < count && !response.destroyed; i += 1) {
    if (!response.write(body)) await Promise.race([once(response, 'drain'), closed]);
  }
  response.end();
}
