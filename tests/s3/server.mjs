// A store with the S3 API for tests of files: s3rver, and in front of it a check of signatures by aws4, because s3rver
// takes any of version 4. Arguments: where its packages are, and the folder for objects.
// It ends when its stdin does.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

const [packages, directory] = process.argv.slice(2);
const installed = createRequire(join(packages, "package.json"));
const S3rver = installed("s3rver");
const aws4 = installed("aws4");

const keys = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" };
const bucket = "switchboard-files";
const store = new S3rver({ silent: true, directory, configureBuckets: [{ name: bucket, configs: [] }] });
await store.configureBuckets();
const answer = store.callback();

// Whether a request has the signature that aws4 makes of the same method, path, headers and hash of the body.
function isSigned({ method, url, headers }) {
  const given = headers.authorization ?? "";
  const [, region, names] = given.match(/Credential=[^/]+\/\d{8}\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+),/) ?? [];
  if (!names || !headers["x-amz-content-sha256"]) return false;
  const signed = Object.fromEntries(names.split(";").map(name => [name, headers[name]]));
  const request = { method, path: url, headers: signed, service: "s3", region };
  return aws4.sign(request, keys).headers.Authorization === given;
}

const server = createServer((request, response) => {
  if (isSigned(request)) return answer(request, response);
  request.resume();
  response.writeHead(403, { "content-type": "application/xml" });
  response.end("<Error><Code>SignatureDoesNotMatch</Code></Error>");
});
const end = () => process.exit(0);
process.stdin.on("end", end).on("close", end).resume();
server.listen(0, "127.0.0.1", () => {
  const endpoint = `http://127.0.0.1:${server.address().port}`;
  const key = { access_key_id: keys.accessKeyId, secret_access_key: keys.secretAccessKey };
  console.log(JSON.stringify({ ready: true, endpoint, bucket, directory, ...key }));
});
