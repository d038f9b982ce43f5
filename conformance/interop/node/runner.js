/**
 * Runs the checks of one script against one hub, one line per check.
 *
 * A check is a sentence, which is printed, and a named function, which takes the hub and fails by
 * throwing. What it opens is closed after it, however it ends (`atEnd`).
 * The script `run` counts the lines that begin with `pass` and `FAIL`.
 */

import { basename } from "node:path";

import { Hub } from "./hub.js";

/** The budget of one check: the SDK itself waits for ever for some answers. */
const CHECK_MILLISECONDS = 30_000;

/** What closing gets, after which the rest is left to the end of the process. */
const CLEAN_UP_MILLISECONDS = 10_000;

/** What `Hub.newDevice` can give out. */
const DEVICES_PER_CHECK = 2;

const script = basename(process.argv[1]);
const area = `node-${script.replace(/^check_|\.js$/g, "")}`;
const checks = [];
const closers = [];
let troubled = () => {};

/** Registers a check. */
export function check(sentence, action) {
  checks.push({ sentence, action });
}

/** Has something done after the running check, the last first. */
export function atEnd(action) {
  closers.push(action);
}

/**
 * The whole life of a check script; ends the process with 0 only if every check passed.
 *
 * `options` are further ones of `twinspec serve`.
 */
export async function run(options = []) {
  for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130], ["SIGHUP", 129]]) {
    process.on(signal, () => process.exit(code));
  }
  const starting = Hub.start(process.argv[2], DEVICES_PER_CHECK * checks.length, options);
  const hub = await within(CHECK_MILLISECONDS, starting);
  // The SDK calls handlers from turns of its own, so an error there surfaces only here.
  process.on("uncaughtException", (error) => troubled(error));
  check("The hub ends with exit code 0 on SIGTERM and takes its CA file with it", hubEndsInOrder);
  const results = [];
  for (const each of checks) results.push(await runOne(each, hub));
  process.exit(results.every(Boolean) ? 0 : 1);
}

async function hubEndsInOrder(hub) {
  const code = await hub.stop();
  if (code !== 0) throw new Error(`exit code ${code}`);
  if (hub.leftCaFileBehind()) throw new Error("the CA file was left behind");
}

async function runOne({ sentence, action }, hub) {
  const trouble = new Promise((_, reject) => (troubled = reject));
  const name = `${area}.${action.name}`;
  try {
    await within(CHECK_MILLISECONDS, Promise.race([action(hub), trouble]));
    console.log(`pass ${name}: ${sentence}.`);
    return true;
  } catch (error) {
    console.log(`FAIL ${name}: ${sentence}. [${reason(error)}]`);
    return false;
  } finally {
    // What goes wrong from here on has nothing to do with the hub.
    troubled = () => {};
    await within(CLEAN_UP_MILLISECONDS, closeAll()).catch(() => {});
  }
}

async function closeAll() {
  for (const action of closers.splice(0).reverse()) await Promise.resolve(action()).catch(() => {});
}

function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    const error = `its budget of ${milliseconds / 1000} s ran out`;
    timer = setTimeout(() => reject(error), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Where the check script stood, if that is known, and what went wrong, on one line. */
function reason(error) {
  const place = String(error?.stack).match(new RegExp(`${script}:\\d+`));
  const what = error?.message ? `${error.name}: ${error.message}` : error;
  return `${place ? `${place}: ` : ""}${what}`.replace(/\s+/g, " ");
}
