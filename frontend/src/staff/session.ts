import * as oauth from "oauth4webapi";
import { client } from "../api/generated/client.gen";
import type { Config } from "../config";

export const ROLES = ["viewer", "refunder", "manager"] as const;
/** Each role may also do what those before it may. The API decides; here it only says what to show. */
export type Role = (typeof ROLES)[number];

/** Somebody who is signed in, in this tab, until the access token ends. `subject` is how the services name them. */
export type Session = { token: string; idToken: string; subject: string; name: string; role: Role; endsAt: number };

const KEPT = "staff-session";
const ASKED = "staff-sign-in";
const LEFT = "staff-signed-out"; // of the whole browser: who comes next is asked who they are, in whichever tab
const CALLBACK = "/staff/signed-in";
/** Where another tab signs in for one whose session has ended. */
export const AGAIN = "/staff/sign-in-again";
export const SIGNED_OUT = "/staff/signed-out";

/** Where the sign-in began, kept while the browser is at the issuer. */
type Asked = { verifier: string; state: string; nonce: string; from: string };

export function kept(): Session | null {
  const text = sessionStorage.getItem(KEPT);
  const session = text ? (JSON.parse(text) as Session) : null;
  return session && !isOver(session) ? session : null;
}

export const isOver = (session: Session) => session.endsAt <= Date.now();

let current: Session | undefined;
const ours = new Set<string>();
const waiting: ((token: string) => void)[] = [];

/** From here on every request to the API is the session's. Once that has ended they wait for the next one: none is lost. */
export function use(session: Session): void {
  sessionStorage.setItem(KEPT, JSON.stringify(session));
  current = session;
  ours.add(session.token);
  client.setConfig({ auth: living, fetch: asking });
  if (!isOver(session)) for (const go of waiting.splice(0)) go(session.token);
}

/** The session's token, or the next one's. */
async function living(): Promise<string> {
  if (current && !isOver(current)) return current.token;
  return new Promise((resolve) => waiting.push(resolve));
}

/** A token that the API takes no more ends its session, whatever the clock says; what was asked is asked again with the next one. */
async function asking(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  const again = request.clone();
  const answer = await fetch(request);
  const token = request.headers.get("Authorization")?.replace("Bearer ", "") ?? "";
  if (answer.status !== 401 || !ours.has(token)) return answer;
  if (current?.token === token) current.endsAt = 0;
  again.headers.set("Authorization", `Bearer ${await living()}`);
  return fetch(again);
}

/** Ends the session here and, where the issuer has a way, there (OpenID Connect RP-Initiated Logout 1.0). */
export async function signOut(config: Config, session: Session): Promise<void> {
  sessionStorage.removeItem(KEPT);
  localStorage.setItem(LEFT, "1");
  const { origin } = window.location;
  const server = await discovered(config).catch(() => null); // away: at least nobody is signed in here
  const after = new URL(SIGNED_OUT, origin);
  const address = new URL(server?.end_session_endpoint ?? after);
  if (server?.end_session_endpoint) {
    address.searchParams.set("id_token_hint", session.idToken);
    address.searchParams.set("client_id", config.oidc_client_id);
    address.searchParams.set("post_logout_redirect_uri", after.toString());
  }
  window.location.assign(address);
}

/** Leaves for the issuer's page: the authorization code flow with PKCE (RFC 7636). */
export async function signIn(config: Config, from: string): Promise<void> {
  const server = await discovered(config);
  const asked: Asked = {
    verifier: oauth.generateRandomCodeVerifier(),
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    from,
  };
  sessionStorage.setItem(ASKED, JSON.stringify(asked));
  const address = new URL(server.authorization_endpoint ?? "");
  address.search = new URLSearchParams({
    client_id: config.oidc_client_id,
    redirect_uri: redirectUri(),
    response_type: "code",
    scope: "openid",
    code_challenge: await oauth.calculatePKCECodeChallenge(asked.verifier),
    code_challenge_method: "S256",
    state: asked.state,
    nonce: asked.nonce,
    ...(localStorage.getItem(LEFT) && { prompt: "login" }),
  }).toString();
  window.location.assign(address);
}

let redeemed: Promise<string> | undefined;

/** Redeems the code that the issuer sent the browser back with, once. Returns where the sign-in began. */
export function signedIn(config: Config): Promise<string> {
  redeemed ??= redeem(config);
  return redeemed;
}

async function redeem(config: Config): Promise<string> {
  const asked = JSON.parse(sessionStorage.getItem(ASKED) ?? "null") as Asked | null;
  if (!asked) throw new Error("This sign-in was not begun in this tab.");
  sessionStorage.removeItem(ASKED);
  const server = await discovered(config);
  const client = { client_id: config.oidc_client_id };
  const given = oauth.validateAuthResponse(server, client, new URL(window.location.href), asked.state);
  const answer = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    oauth.None(),
    given,
    redirectUri(),
    asked.verifier,
    unsafeOnlyOnThisMachine(config),
  );
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, answer, { expectedNonce: asked.nonce });
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  localStorage.removeItem(LEFT);
  use({
    token: tokens.access_token,
    idToken: tokens.id_token ?? "",
    subject: String(claims?.sub ?? ""),
    name: String(claims?.preferred_username ?? claims?.sub ?? ""),
    role: highestRole(tokens.access_token),
    endsAt: Date.now() + (tokens.expires_in ?? 60) * 1000,
  });
  return asked.from;
}

async function discovered(config: Config): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(config.oidc_issuer);
  const answer = await oauth.discoveryRequest(issuer, { algorithm: "oidc", ...unsafeOnlyOnThisMachine(config) });
  return oauth.processDiscoveryResponse(issuer, answer);
}

/** The sandbox's issuer speaks HTTP on loopback. */
const unsafeOnlyOnThisMachine = (config: Config) => ({ [oauth.allowInsecureRequests]: config.mode === "sandbox" });

const redirectUri = () => new URL(CALLBACK, window.location.origin).toString();

/** By the claim that the services read: `roles`, or Keycloak's `realm_access.roles`. */
function highestRole(token: string): Role {
  const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
  const claims = JSON.parse(atob(payload)) as { roles?: string[]; realm_access?: { roles?: string[] } };
  const held = claims.roles ?? claims.realm_access?.roles ?? [];
  const role = ROLES.findLast((known) => held.includes(known));
  if (!role) throw new Error("This account has none of the roles viewer, refunder and manager.");
  return role;
}
