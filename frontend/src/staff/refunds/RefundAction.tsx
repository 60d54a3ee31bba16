import { Button, Modal } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import type { BookingRead, RefundSummary } from "../../api/generated";
import { quoteCancellationOptions } from "../../api/generated/@tanstack/react-query.gen";
import { Known } from "../layout/Known";
import { RefundForm } from "./RefundForm";

/** Refunds of a booking's payment what staff decide on. */
export function RefundAction({ booking, refunds }: { booking: BookingRead; refunds: RefundSummary[] | undefined }) {
  const [opened, { open, close }] = useDisclosure();
  const quote = useQuery({ ...quoteCancellationOptions({ query: { booking_id: booking.id } }), enabled: opened });
  return (
    <>
      <Button size="xs" onClick={open}>
        Refund
      </Button>
      <Modal
        opened={opened}
        onClose={close}
        title="Refund"
        closeOnClickOutside={false}
        size="lg"
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <Known query={quote}>
          {(found) => <RefundForm booking={booking} refunds={refunds ?? []} quote={found} onClose={close} />}
        </Known>
      </Modal>
    </>
  );
}
