// The rehearsal behind `npm run rehearse:crash`; the bundle must have been built.

import { crash, HEADING, line, summary } from "./crashes.mjs";

console.log(HEADING);
const told = (number, round) => console.log(line(number, round));
console.log(summary(await crash({ kills: Number(process.argv[2] ?? 100), limit: 10, told })));
