<?php
// Installs the site whose folder is the first argument; prints the application password of each user as JSON.
define( 'WP_INSTALLING', true );
require __DIR__ . '/console.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';

wp_install( '测试站点', 'admin', 'admin@example.test', true, '', 'of no use' );
update_option( 'permalink_structure', '/%postname%/' );
update_option( 'timezone_string', 'Asia/Shanghai' );
update_option( 'stylesheet', 'bare' );
update_option( 'template', 'bare' );
$GLOBALS['wp_rewrite']->init();
flush_rewrite_rules();

$passwords = array();
foreach ( array( 'admin', 'editor', 'author', 'contributor' ) as $role ) {
	$user = 'admin' === $role ? 1 : wp_insert_user(
		array( 'user_login' => $role, 'user_pass' => 'of no use', 'user_email' => "$role@example.test", 'role' => $role )
	);
	list( $passwords[ $role ] ) = WP_Application_Passwords::create_new_application_password( $user, array( 'name' => 'tests' ) );
}
echo wp_json_encode( $passwords );
