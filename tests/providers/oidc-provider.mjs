// A certified OpenID Provider (npm: oidc-provider) as a test upstream: PKCE, RFC 9207 `iss`, single-use codes,
// rotating refresh tokens with family revocation, RFC 7009 revocation. Everything is in memory. See README.md.
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';
import { RedirectUris, escapeHtml, integer, readBody, readOptions, serve } from './front.mjs';

const options = readOptions({
  'refresh-ttl': { type: 'string', default: '86400' },
  'code-ttl': { type: 'string', default: '60' },
  'client-auth': { type: 'string', default: 'client_secret_basic' },
  'form-login': { type: 'boolean', default: false },
  'no-rotate': { type: 'boolean', default: false },
  'no-require-pkce': { type: 'boolean', default: false },
  'no-iss': { type: 'boolean', default: false },
  dpop: { type: 'boolean', default: false },
});
const redirectUris = new RedirectUris(options);
const USERS = ['alice', 'bob']; // the password is the name

const CLIENTS = [
  {
    client_id: 'test-client',
    client_secret: 'test-client-secret-0123456789abcdef0123456789',
    token_endpoint_auth_method: options['client-auth'],
    dpop_bound_access_tokens: options.dpop,
  },
  {
    // Characters that must be form-encoded before they are joined for HTTP Basic (RFC 6749 section 2.3.1).
    client_id: 'test:client+odd%20id',
    client_secret: 'se:cr+et%/=& ~0123456789abcdef0123456789',
    token_endpoint_auth_method: 'client_secret_basic',
  },
  { client_id: 'public-client', token_endpoint_auth_method: 'none' },
  {
    client_id: 'machine-client',
    client_secret: 'machine-client-secret-0123456789abcdef01234567',
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials'],
  },
  signingClient(),
];

/** A client that proves itself with a key of its own (RFC 7523); the key is in the ready line. */
function signingClient() {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    client_id: 'signing-client',
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'RS256',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'key-1', use: 'sig', alg: 'RS256' }] },
  };
}

function createProvider(issuer) {
  const provider = new Provider(issuer, {
    clients: CLIENTS.map(({ private_key: _, ...client }) => ({
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: client.grant_types ? [] : ['code'],
      redirect_uris: client.grant_types ? [] : ['http://127.0.0.1/decided-by-redirectUriAllowed'],
      ...client,
    })),
    findAccount: (_ctx, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.test`, email_verified: true, name: id }),
    }),
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    scopes: ['openid', 'offline_access', 'email', 'profile', 'api:read', 'api:write'],
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    cookies: { keys: ['a-test-server-has-no-secrets'] },
    pkce: { required: () => !options['no-require-pkce'] },
    rotateRefreshToken: !options['no-rotate'],
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    ttl: {
      AccessToken: options.accessTtl,
      AuthorizationCode: integer(options, 'code-ttl'),
      RefreshToken: integer(options, 'refresh-ttl'),
      IdToken: 300,
      Interaction: 600,
      Session: 3600,
      Grant: 86400,
    },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      registration: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      // RFC 9449, with a nonce in every proof.
      dPoP: { enabled: options.dpop, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => options.dpop },
    },
    renderError(ctx, out) {
      ctx.type = 'json';
      ctx.body = out;
    },
  });
  // Redirect URIs contain ids that exist only after the provider was started.
  provider.Client.prototype.redirectUriAllowed = (uri) => redirectUris.allows(uri);
  for (const event of ['server_error', 'grant.error', 'authorization.error', 'revocation.error']) {
    provider.on(event, (ctx, error) => console.error(event, ctx?.path, error?.message, error?.error_detail ?? ''));
  }
  if (options['no-iss']) provider.use(hideIssuer);
  provider.use((ctx, next) => route(provider, ctx, next));
  return provider;
}

/** Behaves as a server that has never heard of RFC 9207: neither advertised nor sent. */
async function hideIssuer(ctx, next) {
  await next();
  if (ctx.oidc?.route === 'discovery') delete ctx.body?.authorization_response_iss_parameter_supported;
  const location = ctx.response.get('location');
  const url = location && new URL(location, ctx.href);
  if (!url?.searchParams.has('iss')) return;
  url.searchParams.delete('iss');
  ctx.set('location', url.href);
}

function route(provider, ctx, next) {
  if (ctx.path === '/api/me') return describeBearer(provider, ctx);
  if (ctx.path.startsWith('/interaction/')) return interact(provider, ctx);
  return next();
}

/** The protected resource: whose token is this? */
async function describeBearer(provider, ctx) {
  const bearer = /^Bearer (.+)$/i.exec(ctx.get('authorization'))?.[1];
  const token =
    bearer && ((await provider.AccessToken.find(bearer)) ?? (await provider.ClientCredentials.find(bearer)));
  if (!token || token.isExpired) {
    ctx.status = 401;
    ctx.set('WWW-Authenticate', 'Bearer error="invalid_token"');
    ctx.body = { error: 'invalid_token' };
    return;
  }
  ctx.body = { sub: token.accountId ?? token.clientId, scope: token.scope, client_id: token.clientId };
}

/** Login and consent: as pages with --form-login, else decided at once for the user of --login. */
async function interact(provider, ctx) {
  const details = await provider.interactionDetails(ctx.req, ctx.res);
  if (!options['form-login']) return finish(provider, ctx, await positive(provider, details, options.login));
  if (ctx.method === 'GET') return showPage(ctx, details);

  const form = new URLSearchParams((await readBody(ctx.req)).toString());
  if (form.get('decision') === 'deny') {
    return finish(provider, ctx, { error: 'access_denied', error_description: 'the user said no' });
  }
  const username = form.get('username');
  if (details.prompt.name === 'login' && !(USERS.includes(username) && form.get('password') === username)) {
    ctx.status = 401;
    return showPage(ctx, details, 'Wrong user name or password.');
  }
  return finish(provider, ctx, await positive(provider, details, username));
}

async function finish(provider, ctx, result) {
  ctx.respond = false;
  await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: !result.error });
}

/** The result of an interaction in which the user agrees. */
async function positive(provider, { prompt, params, session, grantId }, username) {
  if (prompt.name === 'login') return { login: { accountId: username } };
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (params.scope) grant.addOIDCScope(params.scope);
  if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
  return { consent: { grantId: await grant.save() } };
}

function showPage(ctx, { prompt, params }, problem = '') {
  const [title, inner] =
    prompt.name === 'login'
      ? [
          'Sign in',
          `<p><label>User name <input name="username" autocomplete="off"></label></p>
           <p><label>Password <input name="password" type="password"></label></p>
           <button type="submit">Sign in</button>`,
        ]
      : [
          'Allow access?',
          `<p>${escapeHtml(params.client_id)} asks for: ${escapeHtml(params.scope)}</p>
           <button type="submit" name="decision" value="allow">Allow</button>
           <button type="submit" name="decision" value="deny">Deny</button>`,
        ];
  ctx.type = 'html';
  ctx.set('Cache-Control', 'no-store');
  ctx.body = `<!doctype html><html lang="en"><head><title>${title}</title><link rel="icon" href="data:,"></head>
    <body><h1>${title}</h1><p role="alert">${problem}</p><form method="post">${inner}</form></body></html>`;
}

await serve(options, redirectUris, (issuer) => {
  const provider = createProvider(issuer);
  return {
    handler: provider.callback(),
    ready: {
      name: 'oidc-provider',
      issuer,
      authorization_endpoint: `${issuer}/auth`,
      token_endpoint: `${issuer}/token`,
      revocation_endpoint: `${issuer}/token/revocation`,
      device_authorization_endpoint: `${issuer}/device/auth`,
      introspection_endpoint: `${issuer}/token/introspection`,
      userinfo_endpoint: `${issuer}/me`,
      resource: `${issuer}/api/me`,
      ...CLIENTS[0],
      clients: CLIENTS,
      scope: 'openid offline_access email api:read',
      username: options.login,
      password: options.login,
    },
  };
});
