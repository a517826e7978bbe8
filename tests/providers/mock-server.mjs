// oauth2-mock-server (npm) as a lenient test upstream: it takes any client and any redirect URI, keeps no refresh
// tokens, logs every user in. Its use is in faults, which the front injects. See README.md.
import { OAuth2Server } from 'oauth2-mock-server';
import { randomUUID } from 'node:crypto';
import { RedirectUris, readOptions, serve } from './front.mjs';

const options = readOptions();

async function createServer(issuer) {
  const server = new OAuth2Server();
  await server.issuer.keys.generate('RS256');
  server.issuer.url = issuer;

  const issued = new Map(); // access token → what /api/me says about it, and when it ends
  server.service.on('beforeTokenSigning', (token) => {
    token.payload.sub = options.login;
    token.payload.exp = token.payload.iat + options.accessTtl;
    token.payload.jti = randomUUID(); // two tokens of one second would be the same otherwise
  });
  server.service.on('beforeResponse', ({ body }) => {
    if (!body?.access_token) return;
    body.expires_in = options.accessTtl;
    const ends = Date.now() + options.accessTtl * 1000;
    issued.set(body.access_token, { ends, about: { sub: options.login, scope: body.scope ?? '' } });
  });
  server.service.addRoute('GET', '/api/me', (request, response) => {
    const token = issued.get(/^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]);
    const good = token !== undefined && Date.now() < token.ends;
    if (!good) response.setHeader('WWW-Authenticate', 'Bearer error="invalid_token"');
    response.writeHead(good ? 200 : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(good ? token.about : { error: 'invalid_token' }));
  });
  return server.service.requestHandler;
}

await serve(options, new RedirectUris(options), async (issuer) => ({
  handler: await createServer(issuer),
  ready: {
    name: 'oauth2-mock-server',
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    revocation_endpoint: `${issuer}/revoke`,
    introspection_endpoint: `${issuer}/introspect`,
    userinfo_endpoint: `${issuer}/userinfo`,
    resource: `${issuer}/api/me`,
    client_id: 'test-client',
    client_secret: 'test-client-secret-0123456789abcdef0123456789',
    token_endpoint_auth_method: 'client_secret_basic',
    scope: 'openid read',
    username: options.login,
    password: options.login,
  },
}));
