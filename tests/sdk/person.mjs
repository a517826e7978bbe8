// A person with a browser that shows nothing: one cookie jar, and agreement to every form.
import { request } from 'node:http';

const unescape = text =>
  text.replace(/&#x([0-9a-f]+);/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)))
    .replace(/&quot;/g, '"').replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&');
const attribute = (tag, name) => {
  const found = tag.match(new RegExp(`\\b${name}="([^"]*)"`));
  return found && unescape(found[1]);
};

// The first form of a page that posts, with its first named button pressed.
export function firstForm(html) {
  const part = html.split('<form').slice(1).find(it => /method="post"/i.test(it.split('>')[0]));
  if (!part) return null;
  const form = part.split('</form')[0];
  const fields = [];
  for (const tag of form.match(/<input[^>]*>/g) ?? []) {
    if (attribute(tag, 'type') !== 'submit' && attribute(tag, 'name')) fields.push([attribute(tag, 'name'), attribute(tag, 'value') ?? '']);
  }
  const button = (form.match(/<button[^>]*>/g) ?? []).find(tag => attribute(tag, 'name'));
  if (button) fields.push([attribute(button, 'name'), attribute(button, 'value') ?? '']);
  return { action: attribute(form.split('>')[0], 'action') ?? '', fields };
}

// Where the page leads that names the application before its user goes there.
function wayBack(url, page) {
  if (url.pathname !== '/link/return') return undefined;
  const links = (page.match(/<a[^>]*>/g) ?? []).map(tag => attribute(tag, 'href') ?? '');
  const found = links.find(link => link.startsWith('https://app.example'));
  return found && new URL(found);
}

export class Person {
  // Signs in at the sandbox as `user`; types `entries` into other forms.
  constructor(user = 'alice', entries = {}) {
    this.typed = { username: user, login: user, password: user, ...entries };
    this.cookies = new Map();
  }

  // Opens a URL and agrees to everything; the last page's URL.
  async follow(start) {
    let url = new URL(start);
    let answer = await this.send('GET', url);
    for (let step = 0; step < 25; step++) {
      if (answer.status >= 300 && answer.status < 400) {
        url = new URL(answer.location, url);
        // Where an application waits; no server listens there.
        if (url.hostname === 'app.example') return url;
        answer = await this.send('GET', url);
        continue;
      }
      if (answer.status >= 400) throw new Error(`${url} answered ${answer.status}: ${answer.text.slice(0, 300)}`);
      const form = firstForm(answer.text);
      if (!form) return wayBack(url, answer.text) ?? url;
      if (form.action) url = new URL(form.action, url);
      answer = await this.send('POST', url, form.fields.map(([name, value]) => [name, this.typed[name] ?? value]));
    }
    throw new Error(`too many steps, last ${url}`);
  }

  // Says no on the connect page.
  async refuse(start) {
    await this.send('GET', new URL(start));
    const answer = await this.send('POST', new URL(`${start.split('?')[0]}/reject`), []);
    if (answer.status >= 400) throw new Error(`${answer.status}: ${answer.text.slice(0, 300)}`);
  }

  send(method, url, fields) {
    const headers = { accept: 'text/html' };
    const jar = [...this.cookies].filter(([key]) => key.startsWith(`${url.host} `)).map(([key, value]) => `${key.split(' ')[1]}=${value}`);
    if (jar.length) headers.cookie = jar.join('; ');
    const body = fields && new URLSearchParams(fields).toString();
    if (fields) {
      Object.assign(headers, {
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': Buffer.byteLength(body),
        'sec-fetch-site': 'same-origin',
        origin: url.origin,
        referer: url.href,
      });
    }
    return new Promise((resolve, reject) => {
      const call = request(url, { method, headers, agent: false, timeout: 20000 }, answer => {
        for (const cookie of answer.headers['set-cookie'] ?? []) {
          const [name, ...value] = cookie.split(';')[0].split('=');
          const key = `${url.host} ${name.trim()}`;
          if (!value.join('=') || /max-age=0/i.test(cookie)) this.cookies.delete(key);
          else this.cookies.set(key, value.join('='));
        }
        let text = '';
        answer.setEncoding('utf8').on('data', piece => (text += piece));
        answer.on('end', () => resolve({ status: answer.statusCode, location: answer.headers.location, text }));
      });
      call.on('error', reject).end(body);
    });
  }
}
