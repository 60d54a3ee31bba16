import { Anchor } from "@mantine/core";
import { Link } from "react-router";
import classes from "./layout.module.css";

/** A link to what has an id, by the id's end: its beginning is a time and much the same in all of them. */
export function Ref({ to, id }: { to: string; id: string }) {
  return (
    <Anchor component={Link} to={to} title={id} className={`${classes.id} ${classes.end}`}>
      …{id.slice(-8)}
    </Anchor>
  );
}
