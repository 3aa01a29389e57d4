      *> An object of the host's that stands for a slot: see
      *> `hasty_slot_take_object()`.
      *>   COPY "hasty-slot-object.cpy" REPLACING ==:TAG:== BY ==name==.
      *> Generated from include/hasty.h by bindings/declare.py.
       01 :TAG:.
           05 :TAG:-first
               USAGE POINTER VALUE NULL.
           05 :TAG:-second
               USAGE POINTER VALUE NULL.
           05 :TAG:-slot
               USAGE POINTER VALUE NULL.
           05 :TAG:-status
               USAGE BINARY-LONG VALUE 0.
           05 :TAG:-length-at
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-bytes-at
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-reserved
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-reply
               USAGE POINTER VALUE NULL.
