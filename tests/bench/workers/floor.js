// The floor: bytes in, bytes out, nothing looked at. No Worker that calls an upstream does less.
export default {
  fetch(request, environment) {
    const path = request.url.slice(request.url.indexOf("/", "http://".length));
    return fetch(environment.UPSTREAM + path, { method: "POST", headers: request.headers, body: request.body });
  },
};
