// Requests to the server. Where it does not answer, `onLost` is told, and the request is sent again until it does.

export class Refused extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

export function connection(onLost, onFound) {
  let lost = false;
  return async function ask(path, body) {
    for (;;) {
      let response;
      try {
        const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
        response = await fetch(`/api/${path}`, options);
      } catch {
        if (!lost) { lost = true; onLost(); }
        await wait(1000);
        continue;
      }
      if (lost) { lost = false; onFound(); }
      const answer = await response.json();
      if (!response.ok) throw new Refused(response.status, answer.error);
      return answer;
    }
  };
}
