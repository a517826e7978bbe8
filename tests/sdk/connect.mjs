// Connects an account as an application does it: with @composio/core, unmodified, from the folder SDK_DIR
// (where `npm ci` ran for node-current or node-stable).
// Environment: SDK_DIR, BASE_URL (origin of the server), KEY (project API key), TOOLKIT (sandbox), USER_ID (sdk-user),
// CALLBACK_URL (optional), WAIT (seconds to wait for the user, 60), PROXY (an endpoint such as /api/me, optional).
// Prints `REDIRECT_URL <url>` as soon as there is one, then, when the user has connected, one JSON line
// {"status", "id"}, then with PROXY another one {"proxy_status", "data"}. Exits 1 when anything fails.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

// Read when the SDK is loaded: nothing may be sent or cached outside of this run.
process.env.TELEMETRY_DISABLED = process.env.COMPOSIO_DISABLE_TELEMETRY = 'true';
const cache = (process.env.COMPOSIO_CACHE_DIR = mkdtempSync(join(tmpdir(), 'composio-cache-')));
process.on('exit', () => rmSync(cache, { recursive: true, force: true }));

const { BASE_URL, KEY, TOOLKIT = 'sandbox', USER_ID = 'sdk-user', CALLBACK_URL, WAIT = '60', PROXY } = process.env;
const installed = createRequire(resolve(process.env.SDK_DIR, 'package.json'));
const { Composio } = await import(pathToFileURL(installed.resolve('@composio/core')));

const composio = new Composio({
  apiKey: KEY,
  baseURL: BASE_URL.replace(/\/$/, ''),
  allowTracking: false,
  disableVersionCheck: true,
});
const session = await composio.create(USER_ID, { toolkits: [TOOLKIT] });

const request = await session.authorize(TOOLKIT, CALLBACK_URL ? { callbackUrl: CALLBACK_URL } : undefined);
console.log('REDIRECT_URL', request.redirectUrl);
const account = await request.waitForConnection(Number(WAIT) * 1000);
console.log(JSON.stringify({ status: account.status, id: account.id }));
if (account.status !== 'ACTIVE') process.exit(1);

if (PROXY) {
  const answer = await session.proxyExecute({ toolkit: TOOLKIT, endpoint: PROXY, method: 'GET' });
  console.log(JSON.stringify({ proxy_status: answer.status, data: answer.data }));
}
