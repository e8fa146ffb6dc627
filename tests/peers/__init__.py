"""Programs and servers that others wrote, and a second Ramet.

    test_card_through_nginx  the certificate host with real parts: nginx from the configuration that we ship, a
    test_certificate_users   A certificate in the hands of programs that we did not write: nginx, OpenVPN
    test_pgbouncer           behind PgBouncer in transaction mode no setting of one transaction stays for the next
    test_second_ramet        another Ramet, in processes of its own, as the upstream of this one: nothing of it is

May import everything.
"""
