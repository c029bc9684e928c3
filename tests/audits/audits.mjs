// Runs the GraphQL-over-HTTP audits against the server whose address is given, and prints those
// that it does not pass.
import { serverAudits } from 'graphql-http';

let failed = 0;
let all = 0;
for (const audit of serverAudits({ url: process.argv[2] })) {
  const { status, reason } = await audit.fn();
  all += 1;
  if (status !== 'ok') {
    failed += 1;
    console.log(`${audit.id} ${audit.name}: ${status}, ${reason ?? 'no reason'}`);
  }
}
console.log(`${all - failed} of ${all} audits passed`);
process.exitCode = failed === 0 && all > 0 ? 0 : 1;
