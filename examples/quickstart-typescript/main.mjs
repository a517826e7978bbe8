// Connects one user's account and acts with it, with @composio/core.
//
//   npm install
//   export COMPOSIO_BASE_URL=http://127.0.0.1:8080 COMPOSIO_API_KEY=ak_...
//   node main.mjs [TOOLKIT [ENDPOINT]]
//
// There is nothing about this server below: the SDK takes its address and the key from the environment.
import { Composio } from '@composio/core';

const [toolkitSlug = 'sandbox', endpoint = '/me'] = process.argv.slice(2);
const user = 'quickstart-user';
const composio = new Composio();

// What can be connected, and what it needs.
const toolkit = await composio.toolkits.get(toolkitSlug);
console.log(`${toolkit.name} connects with ${toolkit.authConfigDetails.map(it => it.mode).join(', ')}`);

// A session is one user's view: these toolkits, this user's accounts.
const session = await composio.create(user, { toolkits: [toolkitSlug] });
console.log(`session ${session.sessionId}`);

// Is something connected already? Otherwise the user gets a link, and this waits for them.
const [state] = (await session.toolkits({ toolkits: [toolkitSlug] })).items;
if (state.connection?.isActive) {
  console.log(`already connected: ${state.connection.connectedAccount.id}`);
} else {
  const request = await session.authorize(toolkitSlug);
  console.log(`open ${request.redirectUrl}`);
  const account = await request.waitForConnection(120_000);
  console.log(`connected: ${account.id}`);
}

// All accounts of this user.
for (const account of (await composio.connectedAccounts.list({ userIds: [user], statuses: ['ACTIVE'] })).items) {
  console.log(`account ${account.id} of ${account.toolkit.slug} is ${account.status}`);
}

// A call to the provider's own API with the user's account.
const answer = await session.proxyExecute({ toolkit: toolkitSlug, endpoint, method: 'GET' });
console.log(`${endpoint} answered ${answer.status}: ${JSON.stringify(answer.data)}`);

// The same session again, elsewhere: only its id has to be kept.
console.log(`used again: ${(await composio.use(session.sessionId)).sessionId}`);
