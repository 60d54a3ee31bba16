import { createContext, use } from "react";
import { ROLES, type Role, type Session } from "./session";

export const SessionContext = createContext<Session | null>(null);

/** Who is signed in. */
export function useWho(): Session {
  const session = use(SessionContext);
  if (!session) throw new Error("outside of the dashboard's door");
  return session;
}

/** Whether what takes `role` is to be shown. */
export function useMay(role: Role): boolean {
  return may(useWho(), role);
}

/** The same of somebody; what takes no role is for everybody. */
export function may(who: Session, role: Role = "viewer"): boolean {
  return ROLES.indexOf(who.role) >= ROLES.indexOf(role);
}
